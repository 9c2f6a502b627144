# scripts/qapi: reading, checking and translating QAPI schemas. See docs/devel/qapi.md.
# SPDX-License-Identifier: GPL-2.0-or-later
