/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The parts of virt_xml.c. All return 0, -EBADMSG, -ERANGE or -ENOMEM. */

#include "virt_xml.h"
#include "virt_xml_value.h"

/* vCPUs, emulator, iothreads and their pins (virt_xml_cpu.c). */
int virt_xml_read_cpus(const xmlNode *domain, Guest *g);
/* Guest cells and numatune (virt_xml_numa.c). */
int virt_xml_read_numa(const xmlNode *domain, Guest *g);
/* How it is set up: accelerator, machine, CPU model, agent, emulated devices (virt_xml_setup.c). */
void virt_xml_read_setup(const xmlNode *domain, Guest *g);
/* Class and guaranteed memory, when the sizes are known (virt_xml_metadata.c). */
int virt_xml_read_metadata(const xmlNode *domain, Guest *g);
/* Passed-through devices (virt_xml_device.c). */
int virt_xml_read_vfio(const xmlNode *devices, Guest *g);
