/* system/version.h: version numbers shown to users and clients. SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
#define RHEA_QEMU_VERSION "7.2.22" /* whose interfaces we offer; probes parse it */
#ifndef RHEA_VERSION
#define RHEA_VERSION "0.1.0"
#endif
