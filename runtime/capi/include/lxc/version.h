/* SPDX-License-Identifier: Apache-2.0 */

#ifndef LXC_VERSION_H
#define LXC_VERSION_H

/* The version of LXC whose interface and behaviour this library has. */
#define LXC_DEVEL 0
#define LXC_VERSION_MAJOR 6
#define LXC_VERSION_MINOR 0
#define LXC_VERSION_MICRO 0
#define LXC_VERSION "6.0.0"

/* What follows `liblxc.so.` in the name of the library's file. */
#define LXC_VERSION_ABI "1.8.0"

#endif
