# SPDX-License-Identifier: GPL-3.0-or-later
"""Deadlines of tests. UMS_PATIENCE stretches all of them: below valgrind a program takes twenty times as long."""
import os

FACTOR = float(os.environ.get("UMS_PATIENCE", "1"))


def within(seconds):
    return seconds * FACTOR
