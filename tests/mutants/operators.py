# SPDX-License-Identifier: MIT
"""What is changed in a function: the operators, by walking its syntax tree.

Each change has a place in the text, what stands there then, and a class. An expression or a
statement is changed where it stands; locks are left out in pairs (mutant.h).
"""

import re
from dataclasses import dataclass

from source import plain

CLASSES = ["order", "barrier", "lock", "mask", "tlb", "rights", "quota", "refcount", "bounds",
           "relational", "arithmetic", "logical", "deletion", "value"]

# What a change is about, by what is named in the statement part that it changes.
ABOUT_TLB = re.compile(r"\b((arch_)?tlb_\w+|arch_table_sync|arch_root_load|aspace_load_kernel|ask|"
                       r"others|holders|flush_requests|STEP_FLUSH|operation_flushed)\b")
ABOUT_RIGHTS = re.compile(r"\b(rights|RIGHTS?_\w+)\b")
PLANTED = re.compile(r"SEEDED_BUG|RUNS_OUT")
ABOUT_QUOTA = re.compile(r"\b(used|limit|children|high|quarantined_pages|charged_\w+|figure_\w+|"
                         r"account_(un)?charge\w*|handles_(un)?reserve|handles_(used|reserved|"
                         r"retired)|reserved_handles)\b")
ABOUT_COUNTS = re.compile(r"->handles\b|\bobject_handle_(added|dropped)\w*|"
                          r"\b(waiter|binding|mapping|pin|thread|vector)_count\b|"
                          r"\b(populating|unpaid|vmo_page_released\w*)\b")
ABOUT_MASKING = re.compile(r"\bhal\.irq->(un)?mask\b|\birq_(un)?mask\w*\b")

RELATIONS = {"<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="], ">=": [">", "<"],
             "==": ["!="], "!=": ["=="]}
ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "%": "*"}
BITS = {"&": "|", "|": "&", "^": "&", "<<": ">>", ">>": "<<"}
STEPS = {"STEP_DONE": "STEP_WAIT", "STEP_MORE": "STEP_DONE", "STEP_WAIT": "STEP_DONE",
         "STEP_FLUSH": "STEP_DONE"}
ACQUIRES = {"lock_acquire", "object_lock", "object_ref_lock", "object_lock_inner"}
RELEASES = {"lock_release", "object_unlock"}
NOT_BEHAVIOUR = {"klog", "panic"}  # what is written for people
EXPRESSIONS = ("BinaryOperator", "CompoundAssignOperator", "UnaryOperator", "CallExpr",
               "AtomicExpr", "ParenExpr", "CStyleCastExpr", "ConditionalOperator", "MemberExpr",
               "DeclRefExpr")
INTEGER = re.compile(r"^(const )?(unsigned |signed )?(char|short|int|long|long long|_Bool|bool|"
                     r"u?int\d+_t|size_t|__int128)\b[^*(]*$")


@dataclass(frozen=True)
class Change:
    begin: int
    end: int
    kind: str       # expression, statement, lock
    operator: str   # its class
    becomes: str    # instead of what stands there; "" for a statement that is left out


def type_of(node):
    kind = node.get("type", {})
    return kind.get("desugaredQualType", kind.get("qualType", ""))


def is_integer(node):
    return bool(INTEGER.match(type_of(node))) or type_of(node).startswith("enum ")


def is_pointer(node):
    return type_of(node).rstrip().endswith("*")


def children(node):
    return [n for n in node.get("inner", ()) if n]


def stripped(node):
    while node.get("kind") in ("ImplicitCastExpr", "ParenExpr", "ConstantExpr") and children(node):
        node = children(node)[0]
    return node


def callee(node):
    if node.get("kind") != "CallExpr":
        return None
    return stripped(children(node)[0]).get("referencedDecl", {}).get("name")


def has_effects(node):
    if node.get("kind") in ("CallExpr", "AtomicExpr", "CompoundAssignOperator", "StmtExpr"):
        return True
    if node.get("kind") == "UnaryOperator" and node.get("opcode") in ("++", "--"):
        return True
    if node.get("kind") == "BinaryOperator" and node.get("opcode") == "=":
        return True
    return any(has_effects(n) for n in children(node))


class Finder:
    """Collects the changes of one function."""

    def __init__(self, source, name):
        self.source, self.name = source, name
        self.changes = {}

    def find(self, body):
        self.statement(body)
        return list(self.changes)

    # ---- what a change is

    def add(self, node, kind, operator, becomes, about=None):
        place = self.source.place(node)
        if place is None:
            return
        text = plain(self.source.text[place[0]:place[1]])
        if re.fullmatch(r"[(!\s]*(SEEDED_BUG|RUNS_OUT)\([^)]*\)[)\s]*", text):
            return
        if plain(becomes) == text:
            return
        about = text if about is None else about
        if operator not in ("order", "barrier", "lock"):
            if ABOUT_RIGHTS.search(about):
                operator = "rights"
            elif ABOUT_TLB.search(about):
                operator = "tlb"
            elif ABOUT_MASKING.search(about):
                operator = "mask"
            elif operator != "mask" and ABOUT_QUOTA.search(about):
                operator = "quota"
            elif operator != "mask" and ABOUT_COUNTS.search(about):
                operator = "refcount"
        self.changes[Change(place[0], place[1], kind, operator, plain(becomes))] = None

    def text(self, node):
        found = self.source.of(node)
        return plain(found) if found else None

    def replace(self, node, operator, becomes):
        if becomes is not None:
            self.add(node, "expression", operator, becomes)

    def constant(self, node, value):
        """Instead of a condition; what it does besides is still done."""
        text = self.text(node)
        if text is None or PLANTED.search(text) and not re.search(r"[&|]{2}", text):
            return
        if stripped(node).get("kind") in ("IntegerLiteral", "CXXBoolLiteralExpr"):
            return
        self.replace(node, "logical", f"((void)({text}), {value})" if has_effects(node)
                     else value)

    # ---- statements

    def statement(self, node):
        kind, inner = node.get("kind"), node.get("inner", [])
        if kind == "CompoundStmt":
            for child in children(node):
                self.statement(child)
        elif kind == "IfStmt":
            self.condition(inner[0], True)
            for child in children(node)[2 if self.source.is_planted(inner[0]) else 1:]:
                self.statement(child)
        elif kind == "WhileStmt":
            self.condition(inner[0], False)
            self.statement(inner[-1])
        elif kind == "DoStmt":
            self.statement(inner[0])
            self.condition(inner[1], False)
        elif kind == "ForStmt":
            if inner[0]:
                self.statement(inner[0])
            if inner[2]:
                self.condition(inner[2], False)
            if inner[3]:
                self.expression(inner[3])
            self.statement(inner[4])
        elif kind == "SwitchStmt":
            self.expression(inner[0])
            self.statement(inner[-1])
        elif kind in ("CaseStmt", "DefaultStmt", "LabelStmt", "AttributedStmt"):
            self.statement(inner[-1])
        elif kind == "DeclStmt":
            for declared in children(node):
                if declared.get("storageClass") != "static" and not declared.get("constexpr"):
                    for child in children(declared):
                        self.expression(child)
        elif kind == "ReturnStmt":
            self.returned(node)
        elif kind in ("BreakStmt", "ContinueStmt", "GotoStmt"):
            self.left_out(node)
        elif kind not in ("NullStmt", "GCCAsmStmt") and kind:
            self.left_out(node)
            self.expression(node)

    def left_out(self, node):
        inner = stripped(node)
        if inner.get("kind") == "CStyleCastExpr":  # (void)
            inner = stripped(children(inner)[0])
            if not has_effects(inner):
                return
        name = callee(inner)
        if name in ACQUIRES | RELEASES | NOT_BEHAVIOUR:
            return
        text = self.text(node)
        operator = "deletion"
        if text and text.startswith("atomic_thread_fence"):
            operator = "barrier"
        elif inner.get("kind") == "CompoundAssignOperator" and inner["opcode"] in ("|=", "&=") or \
                text and re.match(r"(\(void\))?atomic_fetch_(and|or)", text):
            operator = "mask"
        self.add(node, "statement", operator, "")

    def returned(self, node):
        if not children(node):
            self.left_out(node)
            return
        value = children(node)[0]
        self.expression(value)
        text, kind = self.text(value), stripped(value).get("kind")
        if text is None or kind in ("IntegerLiteral", "CXXBoolLiteralExpr", "CXXNullPtrLiteralExpr"):
            return
        if type_of(value) in ("bool", "_Bool") or \
                kind in ("BinaryOperator", "UnaryOperator") and re.search(r"[<>=!&|]{2}|^!", text) \
                and stripped(value).get("opcode") in ("&&", "||", "!", "==", "!=", "<", ">", "<=",
                                                      ">="):
            self.constant(value, "true")
            self.constant(value, "false")
        elif is_pointer(value):
            self.replace(value, "value", "nullptr")
        elif is_integer(value) and not re.match(r"(STATUS|STEP)_\w+$", text) and \
                not type_of(value).startswith("enum ") and "status" not in text:
            self.replace(value, "value", "0")
            self.replace(value, "value", f"({text}) + 1")

    # ---- expressions

    def condition(self, node, both):
        self.expression(node)
        if both:
            self.constant(node, "true")
        self.constant(node, "false")

    def expression(self, node):
        kind = node.get("kind")
        if kind in ("UnaryExprOrTypeTraitExpr", "OffsetOfExpr", "ConstantExpr", None):
            return
        handler = getattr(self, "on_" + kind, None)
        if handler:
            handler(node)
        if kind == "StmtExpr":
            return
        for child in children(node):
            if child.get("kind", "").endswith(("Expr", "Operator", "Literal")):
                self.expression(child)

    def between(self, left, right, opcode, other):
        """The text of a binary expression with another operator."""
        a, b = self.source.place(left), self.source.place(right)
        if not a or not b or b[0] < a[1] or plain(self.source.text[a[1]:b[0]]) != opcode:
            return None
        return f"{self.text(left)} {other} {self.text(right)}"

    def on_BinaryOperator(self, node):
        left, right = children(node)
        opcode = node["opcode"]
        if opcode in RELATIONS:
            for other in RELATIONS[opcode]:
                self.replace(node, "relational" if opcode in ("==", "!=") else "bounds",
                             self.between(left, right, opcode, other))
        elif opcode in ("&&", "||"):
            texts = [self.text(left) or "", self.text(right) or ""]
            if not any(PLANTED.search(t) for t in texts):
                other = {"&&": "||", "||": "&&"}[opcode]
                self.replace(node, "logical", self.between(left, right, opcode, f"{other}"))
            for side in (left, right):
                self.constant(side, "true" if opcode == "&&" else "false")
        elif opcode in BITS and is_integer(node):
            self.replace(node, "mask", self.between(left, right, opcode, BITS[opcode]))
        elif opcode in ARITHMETIC and is_integer(right):
            if is_integer(left) or opcode in "+-" and is_pointer(left):
                self.replace(node, "arithmetic",
                             self.between(left, right, opcode, ARITHMETIC[opcode]))

    def on_CompoundAssignOperator(self, node):
        left, right = children(node)
        opcode = node["opcode"][:-1]
        other = BITS.get(opcode) or ARITHMETIC.get(opcode)
        if other and (is_integer(left) or opcode in "+-"):
            self.replace(node, "mask" if opcode in BITS else "arithmetic",
                         self.between(left, right, opcode + "=", other + "="))

    def on_UnaryOperator(self, node):
        operand = self.text(children(node)[0])
        opcode = node["opcode"]
        if operand is None:
            return
        if opcode in ("!", "~"):
            self.replace(node, "logical" if opcode == "!" else "mask", operand)
        elif opcode in ("++", "--"):
            other = {"++": "--", "--": "++"}[opcode]
            self.replace(node, "arithmetic",
                         operand + other if node.get("isPostfix") else other + operand)

    def on_ConditionalOperator(self, node):
        condition = children(node)[0]
        if self.source.is_planted(condition):
            return
        if self.source.place(condition) != self.source.place(node):  # else a macro's own
            self.constant(condition, "true")
            self.constant(condition, "false")

    def on_IntegerLiteral(self, node):
        text = self.text(node)
        match = re.fullmatch(r"(0x[0-9a-f']+|[0-9][0-9']*)([uUlL]*)", text or "")
        if not match:
            return
        value = int(match[1].replace("'", ""), 0)
        self.replace(node, "arithmetic", f"{value + 1}{match[2]}")
        if value > 0:
            self.replace(node, "arithmetic", f"{value - 1}{match[2]}")

    def on_CXXBoolLiteralExpr(self, node):
        text = self.text(node)
        if text in ("true", "false"):
            self.replace(node, "value", "false" if text == "true" else "true")

    def on_DeclRefExpr(self, node):
        text = self.text(node)
        name = node.get("referencedDecl", {}).get("name", "")
        if name != text:
            return
        if re.fullmatch(r"memory_order_(acquire|release|acq_rel|seq_cst)", name):
            self.on_order(node, name)
        elif name in STEPS:
            self.replace(node, "value", STEPS[name])
        elif name == "STATUS_OK":
            self.status(node, ["STATUS_INVALID"])
        elif re.fullmatch(r"STATUS_[A-Z_]+", name) and name != "STATUS_COUNT":
            self.status(node, ["STATUS_OK", "STATUS_NOT_FOUND" if name != "STATUS_NOT_FOUND"
                               else "STATUS_INVALID"])

    def on_order(self, node, name):
        begin = self.source.place(node)[0]
        if re.search(r"atomic_thread_fence\(\s*$", self.source.text[:begin]):
            if name == "memory_order_seq_cst":  # without it at all: left out as a statement
                self.replace(node, "order", "memory_order_acq_rel")
        else:
            self.replace(node, "order", "memory_order_relaxed")

    def status(self, node, others):
        # What a status is compared with is the comparison's.
        place = self.source.place(node)
        if re.search(r"[=!]=\s*$", self.source.text[:place[0]]) or \
                re.match(r"\s*[=!]=", self.source.text[place[1]:]):
            return
        for other in others:
            self.replace(node, "value", other)

    def on_CallExpr(self, node):
        name = callee(node)
        if name in ACQUIRES:
            self.add(node, "lock", "lock", "without it, up to its release")
        if name in ("handle_lookup", "handle_lookup_optional"):
            arguments = children(node)[1:]
            for argument, instead in ((arguments[2], "OBJECT_NONE"), (arguments[3], "0")):
                if self.text(argument) not in (None, instead, "type", "rights"):
                    self.add(argument, "expression", "rights", instead, about="rights")
        if name in ("tlb_flush", "tlb_leave", "ask"):
            self.replace(node, "tlb", "true")


class RightsFinder(Finder):
    """Generated code: what is required of handles, and nothing else."""

    def add(self, node, kind, operator, becomes, about=None):
        if about == "rights":
            super().add(node, kind, operator, becomes, about)
