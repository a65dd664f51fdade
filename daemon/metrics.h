/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The file of metrics, daemon.metrics_file: for node_exporter's textfile collector. */

struct Manager;

/*
 * Writes it anew, beside itself and then in its place, so that nobody reads
 * half of it; readable for everybody. Nothing when none is configured. Says
 * once when it cannot.
 */
void metrics_write(struct Manager *m);
/* Nobody looks after the values any more: without the file they end. */
void metrics_remove(struct Manager *m);
