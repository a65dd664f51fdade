/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Gives back memory that only the start needed: the pages of program and
 * library code that were mapped then (most of them are initialisers of
 * libraries behind libvirt), and free heap. What is needed again comes back
 * from the page cache. Half of the daemon's resident memory; worth calling once,
 * when the first cycles are done.
 */
void footprint_release(void);
