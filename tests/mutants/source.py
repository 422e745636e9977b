# SPDX-License-Identifier: MIT
"""The compiler's syntax tree of one C source, with the place of each node in the text.

A node's place is a pair of offsets into the file that is mutated. What comes out of a macro has
one if it is an argument of the macro, written in the file, or begins and ends with whole macros.
"""

import json
import re
import subprocess

# What these are given is a checker's.
CHECKERS = {"CHECK", "ASSERT", "static_assert"}
# Macros that are no expressions.
STATEMENTS = {"LIST_FOR_EACH"}


class Source:
    def __init__(self, path, text, compiler, unit=None):
        """path: the file that is looked at; unit: what is compiled, if it is another one."""
        self.path, self.text = path, text
        done = subprocess.run(compiler + ["-fsyntax-only", "-Xclang", "-ast-dump=json",
                                          str(unit or path)], capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode())
        self.tree = json.loads(done.stdout)
        self.file = None

    def functions(self):
        """(name, node of the body) of each function that is defined in the file."""
        found = []
        for node in self.tree["inner"]:
            self._note_files(node)
            if node.get("kind") != "FunctionDecl" or node.get("isImplicit"):
                continue
            body = [n for n in node.get("inner", ()) if n.get("kind") == "CompoundStmt"]
            if body and self._in_file(node["range"]["begin"]):
                found.append((node["name"], body[-1]))
        return found

    def _note_files(self, value):
        # A location names its file only where it is another one than that of the last location.
        if isinstance(value, list):
            for item in value:
                self._note_files(item)
        elif isinstance(value, dict):
            if "offset" in value:
                self.file = value.get("file", self.file)
                value["file"] = self.file
                return
            for key, item in value.items():
                if key != "includedFrom" and isinstance(item, (dict, list)):
                    self._note_files(item)

    def _in_file(self, location):
        location = location.get("expansionLoc", location)
        return location.get("file") == str(self.path)

    def macro_at(self, offset):
        return re.match(r"\w*", self.text[offset:])[0]

    def _macro_end(self, offset):
        """Behind the macro that is used at an offset, with its arguments."""
        at = offset + len(self.macro_at(offset))
        begin = re.compile(r"\s*\(").match(self.text, at)
        if not begin:
            return at
        depth, at = 0, begin.end() - 1
        for match in re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|[()]').finditer(self.text,
                                                                                       at):
            depth += {"(": 1, ")": -1}.get(match[0], 0)
            if depth == 0:
                return match.end()
        return None

    def place(self, node):
        """(begin, end) in the text, or None."""
        ends = node.get("range", {})
        begin, end = ends.get("begin", {}), ends.get("end", {})
        both = [begin, end]
        if not begin or not end:
            return None
        expansions = [p["expansionLoc"] for p in both if "expansionLoc" in p]
        if any(self.macro_at(e["offset"]) in CHECKERS for e in expansions
               if e.get("file") == str(self.path)):
            return None
        if self.is_planted(node):
            return None
        if len(expansions) == 2 and expansions[0]["offset"] == expansions[1]["offset"] and \
                all(p["expansionLoc"].get("isMacroArgExpansion") or
                    p.get("isMacroArgExpansion") for p in both):
            spelled = [p["spellingLoc"] for p in both]
            if all(s.get("file") == str(self.path) for s in spelled):
                return spelled[0]["offset"], spelled[1]["offset"] + spelled[1]["tokLen"]
        if not self._in_file(begin) or not self._in_file(end):
            return None
        first = begin.get("expansionLoc", begin)["offset"]
        if self.macro_at(first) in STATEMENTS:
            return None
        last = end["offset"] + end["tokLen"] if "expansionLoc" not in end else \
            self._macro_end(end["expansionLoc"]["offset"])
        return None if last is None or last <= first else (first, last)

    def is_planted(self, node):
        """Whether it is SEEDED_BUG("...") or RUNS_OUT("...")."""
        ends = node.get("range", {})
        both = [ends.get(end, {}).get("expansionLoc", {}) for end in ("begin", "end")]
        offsets = {place.get("offset") for place in both}
        return len(offsets) == 1 and None not in offsets and \
            self.macro_at(both[0]["offset"]) in ("SEEDED_BUG", "RUNS_OUT")

    def of(self, node):
        place = self.place(node)
        return self.text[place[0]:place[1]] if place else None


def plain(text):
    """On one line, without comments."""
    def keep(match):
        return match[0] if match[0][0] in "\"'" else " "
    text = re.sub(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|//[^\n]*|/\*.*?\*/', keep, text,
                  flags=re.DOTALL)
    return re.sub(r"\s+", " ", text).strip()
