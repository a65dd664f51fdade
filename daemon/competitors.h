/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Names in the journal who else on this host changes what kvmtuned changes:
 * numad, ksmtuned, MOM, tuned. Looks through /proc once; call at start and
 * reload. Changes nothing.
 */
void competitors_log(int root_fd);
