//! Players that are known only by their requests.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use millrace_core::viewers::ViewerSketch;

/// Sketches over two windows that rotate: a viewer counts for one to two rotations after its last request.
#[derive(Debug, Default)]
pub struct Viewers {
    windows: [ViewerSketch; 2],
    current: AtomicUsize,
}

impl Viewers {
    /// Notes a request of the viewer with this hash.
    pub fn saw(&self, hash: u64) {
        self.windows[self.current.load(Relaxed) % 2].saw(hash);
    }

    /// Begins a new window and forgets the one before the last.
    pub fn rotate(&self) {
        let next = (self.current.load(Relaxed) + 1) % 2;
        self.windows[next].clear();
        self.current.store(next, Relaxed);
    }

    /// Viewers seen in the last two windows.
    #[must_use]
    pub fn estimate(&self) -> u64 {
        let both = ViewerSketch::default();
        self.windows.iter().for_each(|window| both.merge(window));
        both.estimate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_that_left_is_forgotten_after_two_windows() {
        let viewers = Viewers::default();
        viewers.saw(7);
        viewers.rotate();
        assert_eq!(viewers.estimate(), 1);
        viewers.saw(7 + 64);
        assert_eq!(viewers.estimate(), 2);
        viewers.rotate();
        assert_eq!(viewers.estimate(), 1);
        viewers.rotate();
        assert_eq!(viewers.estimate(), 0);
    }
}
