//! Writing of ISO BMFF boxes: the only place that knows how a box looks (ISO/IEC 14496-12 §4.2).

/// A buffer that boxes are appended to.
#[derive(Debug, Default)]
pub(crate) struct Boxes {
    buffer: Vec<u8>,
}

impl Boxes {
    /// An empty buffer with room for `capacity` bytes.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { buffer: Vec::with_capacity(capacity) }
    }

    /// Writes a box around what `content` writes; its size is filled in afterwards.
    pub(crate) fn nested(&mut self, kind: &[u8; 4], content: impl FnOnce(&mut Self)) {
        let start = self.buffer.len();
        self.u32(0).bytes(kind);
        content(self);
        let size =
            u32::try_from(self.buffer.len() - start).expect("boxes hold headers, mdat sizes are checked");
        self.buffer[start..start + 4].copy_from_slice(&size.to_be_bytes());
    }

    /// Writes a full box: version and 24 bits of flags before the content.
    pub(crate) fn full(&mut self, kind: &[u8; 4], version: u8, flags: u32, content: impl FnOnce(&mut Self)) {
        self.nested(kind, |boxes| {
            boxes.u32(u32::from(version) << 24 | (flags & 0x00ff_ffff));
            content(boxes);
        });
    }

    /// Appends bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.buffer.extend_from_slice(bytes);
        self
    }

    /// Appends zero bytes.
    pub(crate) fn zeros(&mut self, count: usize) -> &mut Self {
        self.buffer.resize(self.buffer.len() + count, 0);
        self
    }

    /// Appends 16 bits.
    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Appends 32 bits.
    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Appends 64 bits.
    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Bytes written so far.
    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Overwrites 32 bits that were written before.
    pub(crate) fn set_u32(&mut self, at: usize, value: u32) {
        self.buffer[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }

    /// The bytes.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.buffer
    }
}
