# make boot   build and boot Debian's cloud kernel to a shell in this terminal (Ctrl-A x leaves)
# make check  build twice (with sanitizers; optimised) and run all tests
# make bench  compare speed with an installed qemu-system-x86_64; STAMP=--stamp puts the figures into the README
# On Debian 12 each installs what it needs by apt; elsewhere ./configure says what is missing.
# SPDX-License-Identifier: GPL-2.0-or-later

BUILD ?= build
GUESTS ?= guests
MEM ?= 512M
SMP ?= 1
CPU ?= max

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@./configure --build-dir=$(BUILD)

install-needed:
	@scripts/install-needed.sh

guests:
	@scripts/guests.sh $(GUESTS)

boot: install-needed guests $(BUILD)/build.ninja
	@ninja -C $(BUILD) rhea
	@scripts/initramfs.py $(BUILD)/boot-initrd.gz --init scripts/boot-init --busybox $(GUESTS)/busybox
	@$(BUILD)/rhea -M pc -cpu $(CPU) -m $(MEM) -smp $(SMP) -nographic -no-reboot -kernel $(GUESTS)/kernel-cloud \
	    -initrd $(BUILD)/boot-initrd.gz -append 'console=ttyS0 quiet pci=off'

check: install-needed guests
	@scripts/install-needed.sh tests
	@scripts/check.py --guests $(GUESTS)

bench: install-needed guests all
	@ninja -C $(BUILD) tests/bench/vmbench tests/bench/bench-events tests/bench/bench-dma
	@$(BUILD)/tests/bench/bench-events
	@$(BUILD)/tests/bench/bench-dma
	@tests/bench/bench.py --guests $(GUESTS) --ours $(BUILD)/rhea $(BENCH) $(STAMP)
	@tests/bench/realwork.py --guests $(GUESTS) --ours $(BUILD)/rhea $(STAMP) || test $$? = 77
	@tests/kvm/bench.py $(BUILD)/rhea $(BUILD)/tests/kvm/exits.elf $(BUILD)/tests/kvm/irq.elf || test $$? = 77 # no KVM

install: all
	@meson install -C $(BUILD)

clean:
	@rm -rf $(BUILD) build-asan build-tsan build-check

.PHONY: all install-needed guests boot check bench install clean
