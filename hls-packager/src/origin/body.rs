//! A response body made of the chunks that are in memory already.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Chunks one after the other, none copied, the bytes handed out counted.
pub(super) struct ChainBody {
    chunks: std::vec::IntoIter<Bytes>,
    left: u64,
    counter: metrics::Counter,
}

impl ChainBody {
    /// All of `chunks`.
    #[must_use]
    pub(super) fn new(chunks: Vec<Bytes>, counter: metrics::Counter) -> Self {
        let left = length(&chunks);
        Self { chunks: chunks.into_iter(), left, counter }
    }
}

/// Bytes of all chunks.
#[must_use]
pub(super) fn length(chunks: &[Bytes]) -> u64 {
    chunks.iter().map(|chunk| chunk.len() as u64).sum()
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

impl Body for ChainBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.chunks.next().map(|chunk| {
            let length = chunk.len() as u64;
            self.left = self.left.saturating_sub(length);
            self.counter.increment(length);
            Ok(Frame::data(chunk))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
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
        let mut body = ChainBody::new(vec![chunk], metrics::Counter::noop());
        assert_eq!(body.size_hint().exact(), Some(100));
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((frame.as_ptr(), body.is_end_stream()), (address, true));
    }
}
