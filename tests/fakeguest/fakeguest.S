/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fakeguest: a 64 KiB "BIOS" that is a whole guest.  No operating system: it
 * finds the legacy virtio-balloon PCI device, negotiates the statistics queue,
 * answers every statistics poll and every balloon target at once (it only
 * *says* that it took the pages), and sleeps in HLT in between.  With no
 * balloon device it just halts.  One vCPU wake-up per statistics poll, none
 * otherwise, so hundreds of them fit on a small machine under TCG.
 *
 * For the QEMU "pc" machine (PIIX3 interrupt routing). Real mode, port I/O.
 */
	/* What it says, unless build.sh is told otherwise: a guest of 32 MiB, 12 MiB in use. */
	.ifndef	SWAP_IN
	.set	SWAP_IN, 0
	.endif
	.ifndef	FAULTS
	.set	FAULTS, 7
	.endif
	.ifndef	FREE
	.set	FREE, 16*1024*1024
	.endif
	.ifndef	TOTAL
	.set	TOTAL, 32*1024*1024
	.endif
	.ifndef	USABLE
	.set	USABLE, 20*1024*1024
	.endif
	.ifndef	CACHES
	.set	CACHES, 4*1024*1024
	.endif

	.code16
	.set	IOBASE,	0xc000		/* where BAR0 of the balloon is put     */
	.set	STATQ,	0x1400		/* stats ring: segment (phys 0x14000)   */
	.set	SBUF,	0x2000		/* statistics buffer segment (0x20000)  */

	.section .text
	.globl	_start
	.org	0
entry:
	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7000, %sp
	.ifdef	NO_DRIVER
	jmp	halt
	.endif
	/* PIT channel 0 to mode 0: one shot, else QEMU's own timer ticks 36 times/s */
	movb	$0x30, %al
	outb	%al, $0x43
	movb	$0xff, %al
	outb	%al, $0x40
	outb	%al, $0x40
	/* look for 1af4:1002 on bus 0 */
	xorl	%ebx, %ebx
	movb	$0, %cl
scan:
	movl	%ebx, %eax
	orl	$0x80000000, %eax
	movw	$0xcf8, %dx
	outl	%eax, %dx
	movw	$0xcfc, %dx
	inl	%dx, %eax
	cmpl	$0x10021af4, %eax
	je	found
	cmpl	$0x70008086, %eax	/* PIIX3 ISA bridge: remember          */
	jne	1f
	movl	%ebx, %esi
1:	addl	$0x800, %ebx		/* next device, function 0             */
	cmpl	$0x10000, %ebx
	jb	scan
	jmp	halt
found:
	movl	%ebx, %edi		/* edi = balloon bdf, esi = bridge bdf */
	/* all four PIRQs to IRQ 11 */
	movl	%esi, %eax
	orl	$0x80000060, %eax
	movw	$0xcf8, %dx
	outl	%eax, %dx
	movw	$0xcfc, %dx
	movl	$0x0b0b0b0b, %eax
	outl	%eax, %dx
	movw	$0x4d1, %dx		/* IRQ 11 level triggered              */
	movb	$0x08, %al
	outb	%al, %dx
	/* BAR0 = IOBASE, enable I/O + bus master */
	movl	%edi, %eax
	orl	$0x80000010, %eax
	movw	$0xcf8, %dx
	outl	%eax, %dx
	movw	$0xcfc, %dx
	movl	$IOBASE, %eax
	outl	%eax, %dx
	movl	%edi, %eax
	orl	$0x80000004, %eax
	movw	$0xcf8, %dx
	outl	%eax, %dx
	movw	$0xcfc, %dx
	movl	$0x00000005, %eax
	outl	%eax, %dx
	/* PIC: master 08h, slave 70h; only IRQ 2 and 11 open */
	movb	$0x11, %al
	outb	%al, $0x20
	outb	%al, $0xa0
	movb	$0x08, %al
	outb	%al, $0x21
	movb	$0x70, %al
	outb	%al, $0xa1
	movb	$0x04, %al
	outb	%al, $0x21
	movb	$0x02, %al
	outb	%al, $0xa1
	movb	$0x01, %al
	outb	%al, $0x21
	outb	%al, $0xa1
	movb	$0xfb, %al
	outb	%al, $0x21
	movb	$0xf7, %al
	outb	%al, $0xa1
	/* local APIC (flat "unreal" mode): on, LINT0 = ExtINT */
	lgdtl	%cs:gdtr
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	movw	$8, %bx
	movw	%bx, %fs
	andb	$0xfe, %al
	movl	%eax, %cr0
	xorw	%bx, %bx
	movw	%bx, %fs
	movl	$0xfee000f0, %ebx
	addr32 movl	$0x1ff, %fs:(%ebx)
	movl	$0xfee00350, %ebx
	addr32 movl	$0x700, %fs:(%ebx)
	/* vector 73h */
	movw	$isr, 0x1cc
	movw	$0xf000, 0x1ce
	/* virtio: reset, ACK, DRIVER, features = STATS_VQ */
	movw	$(IOBASE+0x12), %dx
	movb	$0, %al
	outb	%al, %dx
	movb	$1, %al
	outb	%al, %dx
	movb	$3, %al
	outb	%al, %dx
	movw	$IOBASE, %dx
	inl	%dx, %eax
	andl	$2, %eax
	movw	$(IOBASE+4), %dx
	outl	%eax, %dx
	/* queues 0, 1, 2 at pages 0x10, 0x12, 0x14 */
	xorw	%cx, %cx
qloop:
	movw	$(IOBASE+0xe), %dx
	movw	%cx, %ax
	outw	%ax, %dx
	movzwl	%cx, %eax
	shll	$1, %eax
	addl	$0x10, %eax
	movw	$(IOBASE+8), %dx
	outl	%eax, %dx
	incw	%cx
	cmpw	$3, %cx
	jb	qloop
	/* statistics: ten {u16 tag; u64 value} records */
	movw	$SBUF, %ax
	movw	%ax, %es
	xorw	%di, %di
	movw	$stats, %si
	movw	$(stats_end - stats), %cx
	movw	$0xf000, %ax
	movw	%ax, %ds
	rep movsb
	/* descriptor 0 -> buffer, device-readable */
	movw	$STATQ, %ax
	movw	%ax, %es
	movl	$0x20000, %es:0
	movl	$0, %es:4
	movl	$(stats_end - stats), %es:8
	movl	$0, %es:12		/* flags 0, next 0                     */
	movw	$0, %es:2048		/* avail.flags                         */
	movw	$0, %es:2052		/* avail.ring[0] = 0                   */
	movw	$1, %es:2050		/* avail.idx = 1                       */
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	$0, 0x7100		/* last used.idx seen                  */
	movw	$(IOBASE+0x12), %dx
	movb	$7, %al			/* DRIVER_OK                           */
	outb	%al, %dx
	call	config
	movw	$(IOBASE+0x10), %dx
	movw	$2, %ax
	outw	%ax, %dx
	sti
idle:	hlt
	jmp	idle
halt:	cli
	hlt
	jmp	halt

config:					/* actual = num_pages                  */
	movw	$(IOBASE+0x14), %dx
	inl	%dx, %eax
	.ifdef	BALLOON
	movl	$BALLOON, %eax		/* whatever was asked                  */
	.endif
	movw	$(IOBASE+0x18), %dx
	outl	%eax, %dx
	ret

isr:
	pushal
	pushw	%ds
	pushw	%es
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	$(IOBASE+0x13), %dx
	inb	%dx, %al
	movb	%al, %bl
	testb	$2, %bl
	jz	1f
	call	config
1:	movw	$STATQ, %ax
	movw	%ax, %es
	movw	%es:4098, %ax		/* used.idx                            */
	cmpw	%ax, 0x7100
	je	2f
	movw	%ax, 0x7100
	.ifdef	FROZEN
	jmp	2f
	.endif
	.ifdef	BACKWARDS		/* swap in and majflt                  */
	movw	$SBUF, %ax
	movw	%ax, %es
	subl	$BACKWARDS, %es:2
	sbbl	$0, %es:6
	subl	$BACKWARDS, %es:22
	sbbl	$0, %es:26
	movw	$STATQ, %ax
	movw	%ax, %es
	.endif
	/* the ring entry is always descriptor 0: ring[] is all zero */
	incw	%es:2050
	movw	$(IOBASE+0x10), %dx
	movw	$2, %ax
	outw	%ax, %dx
2:	movb	$0x20, %al
	outb	%al, $0xa0
	outb	%al, $0x20
	popw	%es
	popw	%ds
	popal
	iretw

	.balign	8
gdt:	.quad	0
	.quad	0x00cf93000000ffff	/* flat data                           */
gdtr:	.word	15
	.long	0xf0000 + gdt

stats:
	.word 0; .quad SWAP_IN
	.word 1; .quad 0			/* swap out  */
	.word 2; .quad FAULTS			/* majflt    */
	.word 3; .quad 4321			/* minflt    */
	.word 4; .quad FREE
	.word 5; .quad TOTAL
	.word 6; .quad USABLE			/* available */
	.word 7; .quad CACHES
	.word 8; .quad 0			/* htlb ok   */
	.word 9; .quad 0			/* htlb fail */
stats_end:

	.org	0xfff0
_start:
	ljmp	$0xf000, $entry
	.org	0x10000 - 1
	.byte	0
