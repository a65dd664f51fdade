/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Readers of one value in a libxml2 tree, in the syntax libvirt accepts. */

#include "../lib/idset.h"

#include <libxml/tree.h>

/* The first child element called @name in no namespace; NULL (also for a NULL @parent). */
const xmlNode *xml_child(const xmlNode *parent, const char *name);
/* The next sibling element of the same name as @node. */
const xmlNode *xml_next(const xmlNode *node);
#define XML_FOREACH(node, parent, name)                                                                     \
        for (const xmlNode *node = xml_child((parent), (name)); node; node = xml_next(node))

/* The element's text, the attribute's value; NULL when there is none. They belong to the tree. */
const char *xml_text(const xmlNode *node);
const char *xml_attribute(const xmlNode *node, const char *name);
bool xml_attribute_is(const xmlNode *node, const char *name, const char *value);

/* Small letters and digits in the shape of a UUID, as libvirt writes it, and nothing else. */
bool xml_is_uuid(const char *text);

/* A number in an attribute. 0; -ENODATA (no such attribute), -EBADMSG, -ERANGE. */
int xml_attribute_unsigned(const xmlNode *node, const char *name, unsigned *ret);

/*
 * The element's text as an amount of memory in the unit of its attribute "unit"
 * (KiB when there is none; b, bytes, k, KB, KiB... as in libvirt). 0, -EBADMSG, -ERANGE.
 */
int xml_memory(const xmlNode *node, uint64_t *ret_bytes);
/* The same, with @text in the place of the element's own. */
int xml_scale_memory(const char *text, const char *unit, uint64_t *ret_bytes);

/* libvirt's cpuset: "0-3,^2,8"; an exclusion takes from what stands before it. 0, -EBADMSG, -ERANGE. */
int xml_parse_cpuset(const char *text, IdSet *ret);
