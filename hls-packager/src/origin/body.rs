//! A response body made of the chunks that are in memory already.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

/// The chunks of an answer in memory, none copied, and what counts the bytes of them that left.
#[derive(Debug, Default)]
pub struct Chain {
    chunks: VecDeque<Bytes>,
    left: u64,
    counter: Option<metrics::Counter>,
}

impl Chain {
    /// All of `chunks`.
    #[must_use]
    pub(super) fn new(chunks: impl Into<VecDeque<Bytes>>, counter: metrics::Counter) -> Self {
        let mut chunks = chunks.into();
        chunks.retain(|chunk| !chunk.is_empty());
        Self { left: length(&chunks), chunks, counter: Some(counter) }
    }

    /// One chunk that is no media.
    #[must_use]
    pub(super) fn uncounted(chunk: Bytes) -> Self {
        Self { left: chunk.len() as u64, chunks: VecDeque::from([chunk]), counter: None }
    }

    fn count(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        self.left = self.left.saturating_sub(bytes);
        if let Some(counter) = &self.counter {
            counter.increment(bytes);
        }
    }
}

impl Buf for Chain {
    fn remaining(&self) -> usize {
        usize::try_from(self.left).unwrap_or(usize::MAX)
    }

    fn chunk(&self) -> &[u8] {
        self.chunks.front().map_or(&[], |chunk| chunk)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.chunks.iter().zip(slices).map(|(chunk, slice)| *slice = IoSlice::new(chunk)).count()
    }

    fn advance(&mut self, mut count: usize) {
        self.count(count);
        while count > 0 {
            let Some(first) = self.chunks.front_mut() else { return };
            if count < first.len() {
                return first.advance(count);
            }
            count -= first.len();
            self.chunks.pop_front();
        }
    }
}

/// A chain as one piece, for whoever writes many chunks in one system call.
#[derive(Debug)]
pub struct WholeBody(Option<Chain>);

impl From<Chain> for WholeBody {
    fn from(chain: Chain) -> Self {
        Self((chain.left > 0).then_some(chain))
    }
}

impl Body for WholeBody {
    type Data = Chain;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chain>, Infallible>>> {
        Poll::Ready(self.0.take().map(|chain| Ok(Frame::data(chain))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |chain| chain.left))
    }
}

/// A chain chunk by chunk.
#[derive(Debug)]
pub(super) struct ChainBody(Chain);

impl From<Chain> for ChainBody {
    fn from(chain: Chain) -> Self {
        Self(chain)
    }
}

impl Body for ChainBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.chunks.pop_front().map(|chunk| {
            self.0.count(chunk.len());
            Ok(Frame::data(chunk))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.0.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.left)
    }
}

/// Bytes of all chunks.
#[must_use]
pub(super) fn length<'a>(chunks: impl IntoIterator<Item = &'a Bytes>) -> u64 {
    chunks.into_iter().map(|chunk| chunk.len() as u64).sum()
}

/// The bytes `first ..= last` of what `chunks` are in a row; nothing outside of them.
#[must_use]
pub(super) fn slice(chunks: Vec<Bytes>, first: u64, last: u64) -> Vec<Bytes> {
    let mut at = 0u64;
    let cut = |chunk: Bytes| {
        let begins = at;
        let length = chunk.len() as u64;
        at = at.saturating_add(length);
        let from = first.saturating_sub(begins).min(length);
        let to = last.saturating_add(1).saturating_sub(begins).min(length).max(from);
        let range = usize::try_from(from).ok()?..usize::try_from(to).ok()?;
        (!range.is_empty()).then(|| chunk.slice(range))
    };
    chunks.into_iter().filter_map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn chunks() -> Vec<Bytes> {
        ["abc", "", "defg", "h"].map(Bytes::from_static_str).to_vec()
    }

    trait FromStaticStr {
        fn from_static_str(text: &'static str) -> Bytes;
    }

    impl FromStaticStr for Bytes {
        fn from_static_str(text: &'static str) -> Bytes {
            Bytes::from_static(text.as_bytes())
        }
    }

    #[test]
    fn every_range_over_chunks_is_the_range_of_their_whole() {
        let whole = b"abcdefgh";
        for first in 0..8u64 {
            for last in first..10 {
                let got = slice(chunks(), first, last).concat();
                assert_eq!(got, whole[first as usize..=(last as usize).min(7)], "{first}-{last}");
            }
        }
        assert!(slice(chunks(), 8, u64::MAX).is_empty());
    }

    #[tokio::test]
    async fn the_body_knows_its_length_and_copies_nothing() {
        let chunk = Bytes::from(vec![1; 100]);
        let address = chunk.as_ptr();
        let mut body = ChainBody::from(Chain::new(vec![chunk], metrics::Counter::noop()));
        assert_eq!(body.size_hint().exact(), Some(100));
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((frame.as_ptr(), body.is_end_stream()), (address, true));
    }
    #[tokio::test]
    async fn the_whole_body_is_one_piece_of_all_chunks_however_it_is_taken() {
        let whole = b"abcdefgh";
        for step in 1..=whole.len() {
            let mut body = WholeBody::from(Chain::new(chunks(), metrics::Counter::noop()));
            assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(8), false));
            let mut piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(body.is_end_stream() && body.frame().await.is_none());
            let mut at = 0;
            while piece.has_remaining() {
                assert_eq!(piece.remaining(), whole.len() - at);
                let mut slices = [IoSlice::new(&[]); 2];
                let count = piece.chunks_vectored(&mut slices);
                let shown: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
                assert!(whole[at..].starts_with(&shown) && shown.starts_with(piece.chunk()));
                assert!(!piece.chunk().is_empty());
                let taken = step.min(piece.remaining());
                piece.advance(taken);
                at += taken;
            }
            assert_eq!(at, whole.len());
        }
        assert!(WholeBody::from(Chain::default()).is_end_stream());
    }
}
