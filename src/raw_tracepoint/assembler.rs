//! Instructions of BPF, with labels. See Documentation/bpf/standardization/instruction-set.rst.

use libbpf_sys::bpf_insn;

/// A register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reg(u8);

/// The result of a call.
pub(crate) const R0: Reg = Reg(0);
/// The arguments of a call, which it overwrites.
pub(crate) const R1: Reg = Reg(1);
pub(crate) const R2: Reg = Reg(2);
pub(crate) const R3: Reg = Reg(3);
/// Kept by calls.
pub(crate) const R6: Reg = Reg(6);
pub(crate) const R7: Reg = Reg(7);
pub(crate) const R8: Reg = Reg(8);
pub(crate) const R9: Reg = Reg(9);
/// The end of the stack.
pub(crate) const FRAME: Reg = Reg(10);

/// The width of a memory access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Word = 0x00,
    Double = 0x18,
}

/// The condition of a jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum If {
    Equal = 0x15,
    NotEqual = 0x55,
    NotNegative = 0x75,
    Negative = 0xc5,
}

/// A place in the program that jumps lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label(usize);

/// A program as it grows.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    code: Vec<bpf_insn>,
    /// The place of each label, once it has one.
    labels: Vec<Option<usize>>,
    /// The jumps, and their labels.
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    fn emit(&mut self, code: u8, to: Reg, from: Reg, off: i16, imm: i32) {
        let mut instruction = bpf_insn { code, off, imm, ..Default::default() };
        instruction.set_dst_reg(to.0);
        instruction.set_src_reg(from.0);
        self.code.push(instruction);
    }

    pub(crate) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Puts the label here.
    pub(crate) fn place(&mut self, label: Label) {
        self.labels[label.0] = Some(self.code.len());
    }

    pub(crate) fn copy(&mut self, to: Reg, from: Reg) {
        self.emit(0xbf, to, from, 0, 0);
    }

    pub(crate) fn set(&mut self, to: Reg, value: i32) {
        self.emit(0xb7, to, R0, 0, value);
    }

    /// Sets all 64 bits. It takes two instructions.
    pub(crate) fn set_wide(&mut self, to: Reg, value: u64) {
        self.emit(0x18, to, R0, 0, (value as u32).cast_signed());
        self.emit(0, R0, R0, 0, ((value >> 32) as u32).cast_signed());
    }

    /// Sets the address of a map, by its descriptor.
    pub(crate) fn set_map(&mut self, to: Reg, fd: i32) {
        // BPF_PSEUDO_MAP_FD
        self.emit(0x18, to, R1, 0, fd);
        self.emit(0, R0, R0, 0, 0);
    }

    /// Sets the address inside the only value of an array.
    pub(crate) fn set_map_value(&mut self, to: Reg, fd: i32, offset: i32) {
        // BPF_PSEUDO_MAP_VALUE
        self.emit(0x18, to, R2, 0, fd);
        self.emit(0, R0, R0, 0, offset);
    }

    pub(crate) fn add(&mut self, to: Reg, value: i32) {
        self.emit(0x07, to, R0, 0, value);
    }

    pub(crate) fn or(&mut self, to: Reg, from: Reg) {
        self.emit(0x4f, to, from, 0, 0);
    }

    pub(crate) fn shift_right(&mut self, to: Reg, bits: i32) {
        self.emit(0x77, to, R0, 0, bits);
    }

    pub(crate) fn load(&mut self, width: Width, to: Reg, from: Reg, offset: i16) {
        self.emit(0x61 | width as u8, to, from, offset, 0);
    }

    pub(crate) fn store(&mut self, width: Width, to: Reg, offset: i16, from: Reg) {
        self.emit(0x63 | width as u8, to, from, offset, 0);
    }

    pub(crate) fn store_constant(&mut self, width: Width, to: Reg, offset: i16, value: i32) {
        self.emit(0x62 | width as u8, to, R0, offset, value);
    }

    /// Adds to memory in one step.
    pub(crate) fn add_atomic(&mut self, width: Width, to: Reg, offset: i16, from: Reg) {
        self.emit(0xc3 | width as u8, to, from, offset, 0);
    }

    pub(crate) fn call(&mut self, helper: u32) {
        self.emit(0x85, R0, R0, 0, helper.cast_signed());
    }

    pub(crate) fn jump_if(&mut self, condition: If, register: Reg, value: i32, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.emit(condition as u8, register, R0, 0, value);
    }

    pub(crate) fn jump(&mut self, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.emit(0x05, R0, R0, 0, 0);
    }

    pub(crate) fn exit(&mut self) {
        self.emit(0x95, R0, R0, 0, 0);
    }

    /// Returns the instructions. `None` when a jump is too far, or a label has no place.
    pub(crate) fn finish(mut self) -> Option<Vec<bpf_insn>> {
        for (at, label) in self.jumps {
            let distance = self.labels[label.0]?.cast_signed() - at.cast_signed() - 1;
            self.code[at].off = i16::try_from(distance).ok()?;
        }
        Some(self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_lead_to_their_labels() {
        let mut assembler = Assembler::default();
        let (start, end) = (assembler.label(), assembler.label());
        assembler.place(start);
        assembler.jump_if(If::Equal, R1, 7, end);
        assembler.set_wide(R2, 0x1_0000_0002);
        assembler.jump(start);
        assembler.place(end);
        assembler.exit();
        let code = assembler.finish().unwrap();
        let told: Vec<_> = code.iter().map(|it| (it.code, it.dst_reg(), it.off, it.imm)).collect();
        assert_eq!(told, [(0x15, 1, 3, 7), (0x18, 2, 0, 2), (0, 0, 0, 1), (0x05, 0, -4, 0), (0x95, 0, 0, 0)]);
        let mut assembler = Assembler::default();
        let nowhere = assembler.label();
        assembler.jump(nowhere);
        assert!(assembler.finish().is_none());
    }
}
