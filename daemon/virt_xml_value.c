/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virt_xml_value.h"

#include "../lib/parse.h"

#include <ctype.h>
#include <strings.h>

static bool is_element(const xmlNode *node, const char *name) {
        return node->type == XML_ELEMENT_NODE && !node->ns && streq((const char *)node->name, name);
}

const xmlNode *xml_child(const xmlNode *parent, const char *name) {
        for (const xmlNode *node = parent ? parent->children : NULL; node; node = node->next)
                if (is_element(node, name))
                        return node;
        return NULL;
}

const xmlNode *xml_next(const xmlNode *node) {
        const char *name = (const char *)node->name;

        for (node = node->next; node; node = node->next)
                if (is_element(node, name))
                        return node;
        return NULL;
}

const char *xml_text(const xmlNode *node) {
        if (!node || !node->children || node->children->type != XML_TEXT_NODE)
                return NULL;
        return (const char *)node->children->content;
}

const char *xml_attribute(const xmlNode *node, const char *name) {
        for (const xmlAttr *a = node ? node->properties : NULL; a; a = a->next) {
                if (a->ns || !streq((const char *)a->name, name))
                        continue;
                return a->children ? (const char *)a->children->content : "";
        }
        return NULL;
}

bool xml_attribute_is(const xmlNode *node, const char *name, const char *value) {
        return streq_ptr(xml_attribute(node, name), value);
}

static int bad_or_range(int r) {
        return r == -EINVAL ? -EBADMSG : r;
}

int xml_attribute_unsigned(const xmlNode *node, const char *name, unsigned *ret) {
        const char *text = xml_attribute(node, name);

        if (!text)
                return -ENODATA;
        return bad_or_range(parse_unsigned(text, ret));
}

bool xml_is_uuid(const char *s) {
        static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

        for (size_t i = 0; i < sizeof(shape); i++)
                if (shape[i] == 'x' ? !strchr("0123456789abcdef", s[i]) || s[i] == 0 : s[i] != shape[i])
                        return false;
        return true;
}

/* "k", "KB", "KiB", "b", "bytes": libvirt's virScaleInteger(). */
static int unit_bytes(const char *unit, uint64_t *ret) {
        static const char letters[] = "kmgtpe";
        uint64_t base, scale = 1;
        const char *letter;

        if (strcasecmp(unit, "b") == 0 || strcasecmp(unit, "byte") == 0 || strcasecmp(unit, "bytes") == 0) {
                *ret = 1;
                return 0;
        }
        letter = *unit ? strchr(letters, tolower((unsigned char)*unit)) : NULL;
        if (!letter)
                return -EBADMSG;
        if (unit[1] == 0 || strcasecmp(unit + 1, "ib") == 0)
                base = 1024;
        else if (strcasecmp(unit + 1, "b") == 0)
                base = 1000;
        else
                return -EBADMSG;
        for (const char *l = letters; l <= letter; l++)
                scale *= base;
        *ret = scale;
        return 0;
}

int xml_scale_memory(const char *text, const char *unit, uint64_t *ret_bytes) {
        uint64_t amount, scale;
        int r;

        if (!text)
                return -EBADMSG;
        r = parse_u64(text, &amount);
        if (r < 0)
                return bad_or_range(r);
        r = unit_bytes(unit ?: "KiB", &scale);
        if (r < 0)
                return r;
        if (__builtin_mul_overflow(amount, scale, &amount) || amount == UINT64_MAX)
                return -ERANGE;
        *ret_bytes = amount;
        return 0;
}

int xml_memory(const xmlNode *node, uint64_t *ret_bytes) {
        return xml_scale_memory(xml_text(node), xml_attribute(node, "unit"), ret_bytes);
}

static const char *skip_space(const char *p) {
        while (isspace((unsigned char)*p))
                p++;
        return p;
}

/* One of "3", "3-5", "^3" at *@p. */
static int parse_part(const char **p, IdSet *set) {
        bool exclude = **p == '^';
        unsigned from, to;
        int r;

        if (exclude)
                (*p)++;
        r = parse_unsigned_prefix(p, &from);
        if (r < 0)
                return r;
        to = from;
        if (**p == '-' && !exclude) {
                (*p)++;
                r = parse_unsigned_prefix(p, &to);
                if (r < 0)
                        return r;
        }
        if (!exclude)
                return idset_add_range(set, from, to);
        idset_remove(set, from);
        return 0;
}

int xml_parse_cpuset(const char *text, IdSet *ret) {
        IdSet set = IDSET_EMPTY;
        const char *p = skip_space(text);

        for (;;) {
                int r = parse_part(&p, &set);

                if (r < 0)
                        return bad_or_range(r);
                p = skip_space(p);
                if (*p == 0)
                        break;
                if (*p != ',')
                        return -EBADMSG;
                p = skip_space(p + 1);
        }
        *ret = set;
        return 0;
}
