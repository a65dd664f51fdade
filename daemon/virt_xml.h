/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "../lib/snapshot.h"

/* The XML namespace of <kvmtuned:guest class="..." min_guarantee="..."/> in a domain's <metadata>. */
#define KVMTUNED_XML_NAMESPACE "https://kvmtuned.org/xmlns/guest/1"

/*
 * A guest from its live domain XML (virDomainGetXMLDesc(3), flags 0). State,
 * statistics and everything observed are left "not known". Untrusted in so far
 * as any libvirt client may have written it: sizes are checked, ids bounded.
 * No network, no entities, no DTD. Returns 0, -EBADMSG, -ERANGE or -ENOMEM.
 */
int guest_from_xml(const char *xml, size_t size, Guest **ret);

/*
 * The same from the file in which libvirt keeps the status of a running guest
 * (run/libvirt/qemu/NAME.xml, for root alone). Besides, its state, its pid (0:
 * it has none yet) and what an adviser told libvirt at its start.
 */
int guest_from_status_xml(const char *xml, size_t size, Guest **ret);
