//! The server's side of the handshake (RTMP 1.0 §5.2, and the digest form that Flash Player 9 brought).
//!
//! rml_rtmp's handshake is sound and knows both forms. Around it: nothing is answered to a first byte that is no
//! RTMP, and it is never given more than the 3,073 bytes that it has to see. It draws its own random bytes, which
//! only have to differ.

use rml_rtmp::handshake::{Handshake as Inner, HandshakeProcessResult, PeerType};

/// C0, C1 and C2.
const CLIENT_BYTES: usize = 1 + 1536 + 1536;
const VERSION: u8 = 3;

/// Why this is no RTMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The first byte is not 3.
    #[error("first byte is {found:#04x}, RTMP has 0x03")]
    Version {
        /// The byte.
        found: u8,
    },
    /// The digest cannot be answered.
    #[error("handshake failed after {received} bytes")]
    Failed {
        /// Bytes that came.
        received: usize,
    },
}

/// A handshake under way.
pub struct Handshake {
    inner: Inner,
    received: usize,
}

impl std::fmt::Debug for Handshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshake").field("received", &self.received).finish_non_exhaustive()
    }
}

/// What a step of the handshake came to.
#[derive(Debug)]
pub struct Step {
    /// For the peer.
    pub response: Vec<u8>,
    /// Whether chunks follow.
    pub complete: bool,
}

impl Default for Handshake {
    fn default() -> Self {
        Self { inner: Inner::new(PeerType::Server), received: 0 }
    }
}

impl Handshake {
    /// Takes from the front of `input` what belongs to the handshake.
    ///
    /// # Errors
    /// [`HandshakeError`].
    pub fn handle_input(&mut self, input: &mut &[u8]) -> Result<Step, HandshakeError> {
        let (bytes, rest) = input.split_at(input.len().min(CLIENT_BYTES - self.received));
        *input = rest;
        let Some(&first) = bytes.first() else { return Ok(Step { response: Vec::new(), complete: false }) };
        if self.received == 0 && first != VERSION {
            return Err(HandshakeError::Version { found: first });
        }
        self.received += bytes.len();
        match self.inner.process_bytes(bytes) {
            Ok(HandshakeProcessResult::InProgress { response_bytes }) => {
                Ok(Step { response: response_bytes, complete: false })
            }
            Ok(HandshakeProcessResult::Completed { response_bytes, .. }) => {
                Ok(Step { response: response_bytes, complete: true })
            }
            Err(_) => Err(HandshakeError::Failed { received: self.received }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simple_client_is_answered_whatever_the_split() {
        let mut client = vec![3];
        client.extend((0..1536u32).map(|i| u8::try_from(i % 7).unwrap()));
        for piece in [1, 100, 1537, 4000] {
            let mut handshake = Handshake::default();
            let mut response = Vec::new();
            for bytes in client.chunks(piece) {
                let mut input = bytes;
                let step = handshake.handle_input(&mut input).unwrap();
                assert!(!step.complete && input.is_empty());
                response.extend(step.response);
            }
            assert_eq!(response.len(), 1 + 1536 + 1536);
            assert_eq!(response[1537..], client[1..], "S2 echoes C1");
            let mut c2 = response[1..1537].to_vec();
            c2.extend(b"chunks");
            let mut input = c2.as_slice();
            assert!(handshake.handle_input(&mut input).unwrap().complete);
            assert_eq!(input, b"chunks");
        }
    }

    #[test]
    fn a_digest_client_of_rml_rtmp_completes() {
        let mut client = Inner::new(PeerType::Client);
        let hello = client.generate_outbound_p0_and_p1().unwrap();
        let mut server = Handshake::default();
        let step = server.handle_input(&mut hello.as_slice()).unwrap();
        let HandshakeProcessResult::Completed { response_bytes, .. } =
            client.process_bytes(&step.response).unwrap()
        else {
            panic!("the client wants more");
        };
        assert!(server.handle_input(&mut response_bytes.as_slice()).unwrap().complete);
    }

    #[test]
    fn garbage_gets_no_answer() {
        let error = Handshake::default().handle_input(&mut b"GET / HTTP/1.1".as_slice()).unwrap_err();
        assert_eq!(error, HandshakeError::Version { found: b'G' });
    }
}
