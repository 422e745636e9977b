#include "hostile.h"
void calls_child(void)
{
}
