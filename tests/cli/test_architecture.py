#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arrows between modules: as the table of CONTRIBUTING.md draws them, as CMake links them, and as the sources include.
Third-party headers stay inside sources."""

import glob
import os
import re
import unittest

SOURCE = os.environ["UMS_SOURCE"]
COMMON = os.path.join(SOURCE, "common")
TOOLS = os.path.join(SOURCE, "tools")

# Third-party libraries: what their headers begin with, their name in the table, and in CMake.
LIBRARIES = {"curl/": ("libcurl", "PkgConfig::CURL"), "CLI/": ("CLI11", "CLI11::CLI11"),
             "yaml.h": ("libyaml", "PkgConfig::YAML"), "fmt/": ("fmt", "fmt::fmt"),
             "gmime/": ("GMime", "PkgConfig::GMIME"), "re2/": ("RE2", "PkgConfig::RE2"), "expat": ("Expat", "EXPAT::EXPAT"),
             "date/": ("date", "date::date-tz"), "phonenumbers/": ("libphonenumber", "ums_phonenumber"), "libsmbclient.h": ("libsmbclient", "PkgConfig::SMBCLIENT")}
# What else stands in angle brackets: C++ (`<vector>`), and the system (`<fcntl.h>`, `<sys/stat.h>`).
STANDARD = re.compile(r"[a-z_]+")
SYSTEM = re.compile(r"(sys|linux|netinet|arpa)/[a-z_]+\.h|(dirent|dlfcn|errno|fcntl|grp|iconv|locale|malloc|netdb|poll|pwd|signal|spawn|syslog|unistd)\.h")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def sources(*patterns):
    return sorted(sum((glob.glob(os.path.join(SOURCE, pattern), recursive=True) for pattern in patterns), []))


def includes(path):
    """(quoted, in angle brackets)"""
    text = read(path)
    return (re.findall(r'^\s*#\s*include\s*"([^"]+)"', text, re.MULTILINE),
            re.findall(r"^\s*#\s*include\s*<([^>]+)>", text, re.MULTILINE))


def table():
    """module -> (modules that it uses, third-party libraries), in the order of the table."""
    rows = {}
    for line in read(os.path.join(SOURCE, "CONTRIBUTING.md")).splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 4 and re.fullmatch(r"`[a-z]+`", cells[0]):
            rows[cells[0].strip("`")] = (set(cells[2].split()) - {"-"}, {name.strip() for name in cells[3].split(",")} - {""})
    return rows


def call(path, function):
    """The words of a call of ums_module() or ums_tool(), by keyword."""
    arguments = re.search(rf"^{function}\(([^)]*)\)", read(path), re.MULTILINE)[1].split()
    found = {"NAME": [arguments[0]]}
    key = None
    for word in arguments[1:]:
        if word in ("SOURCES", "DEPENDS", "LIBRARIES"):
            key = found.setdefault(word, [])
        else:
            key.append(word)
    return found


def module_of(path):
    return os.path.relpath(path, COMMON).split(os.sep)[0]


TABLE = table()
MODULES = {os.path.basename(os.path.dirname(path)): call(path, "ums_module")
           for path in sources("common/*/CMakeLists.txt")}
MODULE_FILES = sources("common/*/*.hpp", "common/*/*.cpp")


def closure(modules):
    found = set(modules)
    for name in modules:
        found |= closure(MODULES[name].get("DEPENDS", []))
    return found


def library_of(header):
    return next((names for prefix, names in LIBRARIES.items() if header.startswith(prefix)), None)


class Arrows(unittest.TestCase):
    def test_table_has_all_modules(self):
        self.assertEqual(set(TABLE), set(MODULES))
        self.assertEqual({module_of(path) for path in MODULE_FILES}, set(MODULES))

    def test_table_is_what_is_linked(self):
        for name, parts in MODULES.items():
            with self.subTest(name):
                self.assertEqual(parts["NAME"], [name])
                self.assertEqual(TABLE[name][0], set(parts.get("DEPENDS", [])))

    def test_arrows_point_up(self):
        order = list(TABLE)
        for name, (uses, _) in TABLE.items():
            with self.subTest(name):
                self.assertLessEqual(uses, set(order[:order.index(name)]))

    def test_all_modules_are_built(self):
        built = re.search(r"foreach\(module ([^)]*)\)", read(os.path.join(COMMON, "CMakeLists.txt")))[1].split()
        self.assertEqual(set(built), set(TABLE))

    def test_includes_of_modules(self):
        for path in MODULE_FILES:
            module = module_of(path)
            allowed = closure([module])
            for header in includes(path)[0]:
                with self.subTest(os.path.relpath(path, SOURCE), include=header):
                    self.assertIn("/", header)
                    self.assertIn(header.split("/")[0], allowed)
                    self.assertTrue(os.path.exists(os.path.join(COMMON, header)))

    def test_includes_of_tools(self):
        for path in sources("tools/*/*.hpp", "tools/*/*.cpp"):
            directory = os.path.dirname(path)
            allowed = closure(call(os.path.join(directory, "CMakeLists.txt"), "ums_tool")["DEPENDS"])
            for header in includes(path)[0]:
                with self.subTest(os.path.relpath(path, SOURCE), include=header):
                    if "/" in header:
                        self.assertIn(header.split("/")[0], allowed)
                    else:
                        self.assertTrue(os.path.exists(os.path.join(directory, header)))

    def test_only_tools_know_tools(self):
        for path in MODULE_FILES:
            self.assertNotRegex(read(path), r'#include "(\.\./|ums-|tools/)')


class ThirdParty(unittest.TestCase):
    def public_headers(self):
        """Headers that another module, or a tool, includes; with all that those include."""
        wanted = [header for path in MODULE_FILES for header in includes(path)[0] if header.split("/")[0] != module_of(path)]
        wanted += [header for path in sources("tools/*/*.?pp") for header in includes(path)[0] if "/" in header]
        found = set()
        while wanted:
            header = wanted.pop()
            path = os.path.join(COMMON, header)
            if header not in found and os.path.exists(path):
                found.add(header)
                wanted += includes(path)[0]
        return sorted(found)

    def test_public_headers(self):
        headers = self.public_headers()
        self.assertGreater(len(headers), 15)
        for header in headers:
            for name in includes(os.path.join(COMMON, header))[1]:
                with self.subTest(header, include=name):
                    self.assertTrue(STANDARD.fullmatch(name) or SYSTEM.fullmatch(name))

    def test_all_headers_of_libraries_are_known(self):
        for path in sources("common/*/*.?pp", "tools/*/*.?pp"):
            for name in includes(path)[1]:
                with self.subTest(os.path.relpath(path, SOURCE), include=name):
                    self.assertTrue(STANDARD.fullmatch(name) or SYSTEM.fullmatch(name) or library_of(name))

    def test_libraries_of_modules(self):
        """A module includes the libraries that the table and its CMakeLists.txt name, and no others."""
        for module, parts in MODULES.items():
            included = {library_of(name) for path in sources(f"common/{module}/*.?pp") for name in includes(path)[1]} - {None}
            with self.subTest(module):
                self.assertEqual({name for name, _ in included}, TABLE[module][1])
                linked = set(parts.get("LIBRARIES", []))
                self.assertLessEqual({target for _, target in included}, linked)

    def test_libraries_of_tools(self):
        for path in sources("tools/*/*.?pp"):
            libraries = {library_of(name) for name in includes(path)[1]} - {None}
            with self.subTest(os.path.relpath(path, SOURCE)):
                self.assertLessEqual(libraries, {LIBRARIES["CLI/"]} if path.endswith("/main.cpp") else set())


class Tools(unittest.TestCase):
    OPENING = re.compile(r"\b(open|fopen|ifstream|ofstream|load|load_config|open_spool|read|getenv|PosixDisk|Library|Spool"
                         r"|connect|socket|fork)\b\s*[({]|\b(PosixDisk|Library|ifstream|ofstream) \w+")

    def test_nothing_is_opened_before_run_tool(self):
        mains = sources("tools/*/main.cpp")
        self.assertEqual(len(mains), 6)
        for path in mains:
            with self.subTest(os.path.relpath(path, SOURCE)):
                body = re.search(r"^int main\(.*?\) \{\n(.*?)\breturn cli::run_tool\(", read(path), re.MULTILINE | re.DOTALL)
                self.assertIsNotNone(body, "main() must end with cli::run_tool()")
                self.assertNotRegex(re.sub(r'"(\\.|[^"\\])*"', '""', body[1]), self.OPENING)

    def test_main_only_parses(self):
        """What reaches out (spool, transports, ...) is the business of the other sources of a tool."""
        for path in sources("tools/*/main.cpp"):
            for header in includes(path)[0]:
                with self.subTest(os.path.relpath(path, SOURCE), include=header):
                    self.assertNotIn(header.split("/")[0], ("spool", "transport", "delivery", "intake", "health", "probe"))


class Files(unittest.TestCase):
    def test_licence(self):
        files = sources("CMakeLists.txt", "common/**/*.?pp", "common/**/CMakeLists.txt", "tools/**/*.?pp",
                        "tools/**/CMakeLists.txt", "tests/**/*.?pp", "tests/**/*.py", "tests/**/CMakeLists.txt", "tests/run",
                        ".ci/run", "man/*", "completions/*", "packaging/*.sh", "packaging/*.cmake", "packaging/deb/*",
                        "examples/quickstart", "examples/ums-supervisor", "examples/make-jobs", "examples/*/*")
        self.assertGreater(len(files), 150)
        for path in files:
            with self.subTest(os.path.relpath(path, SOURCE)):
                # Behind `#!`, or zsh's #compdef.
                self.assertTrue(any("SPDX-License-Identifier: GPL-3.0-or-later" in line for line in read(path).split("\n")[:2]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
