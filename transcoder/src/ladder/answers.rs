//! What is reported, and when all of a picture has been. Sans-IO.

use std::collections::VecDeque;

use millrace_core::transcode::{LadderReport, RungId};

/// What happens to a ladder, in the order in which it does.
#[derive(Debug)]
pub(crate) enum Event {
    /// A rung begins, anew perhaps.
    Started(RungId),
    /// A picture has been decoded, and these rungs (one bit each) will answer for it.
    Fed {
        /// Its presentation time.
        pts: i64,
        /// Bits.
        rungs: u32,
    },
    /// A rung has nothing more to say.
    Ended(RungId),
    /// To be handed on.
    Report(LadderReport),
}

/// Pictures that rungs have not answered for.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// As many as the channels to the rungs and the encoders hold.
    fed: VecDeque<(i64, u32)>,
    ended: u32,
}

/// The bit of a rung below 32.
pub(crate) fn bit(rung: RungId) -> u32 {
    1u32.checked_shl(rung.0.into()).unwrap_or(0)
}

impl Answers {
    /// What is to be reported now.
    pub(crate) fn reports(&mut self, event: Event) -> impl Iterator<Item = LadderReport> {
        let mut report = None;
        match event {
            Event::Started(rung) => self.ended &= !bit(rung),
            Event::Fed { pts, rungs } => self.fed.push_back((pts, rungs & !self.ended)),
            Event::Ended(rung) => {
                self.ended |= bit(rung);
                self.answered(rung, usize::MAX);
            }
            Event::Report(said) => {
                if let LadderReport::Picture { rung, pts, .. } = said {
                    // Encoders hand out pictures in the order in which they got them.
                    let of_rung = |(fed, rungs): &(i64, u32)| *fed == pts && rungs & bit(rung) != 0;
                    let up_to = self.fed.iter().position(of_rung).map_or(0, |at| at + 1);
                    self.answered(rung, up_to);
                }
                report = Some(said);
            }
        }
        let done = self.fed.iter().take_while(|(_, rungs)| *rungs == 0).count();
        let done = self.fed.drain(..done).next_back().map(|(pts, _)| LadderReport::Done { pts });
        report.into_iter().chain(done)
    }

    /// A rung has answered for so many of the pictures.
    fn answered(&mut self, rung: RungId, pictures: usize) {
        self.fed.iter_mut().take(pictures).for_each(|(_, rungs)| *rungs &= !bit(rung));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const A: RungId = RungId(0);
    const B: RungId = RungId(31);

    fn picture(rung: RungId, pts: i64) -> Event {
        Event::Report(LadderReport::Picture { rung, pts, sync: false, data: Bytes::new() })
    }

    fn done(answers: &mut Answers, event: Event) -> Option<i64> {
        answers.reports(event).find_map(|report| match report {
            LadderReport::Done { pts } => Some(pts),
            _ => None,
        })
    }

    #[test]
    fn a_picture_is_done_when_the_last_rung_has_answered_for_it() {
        let mut answers = Answers::default();
        for pts in [1, 2, 3] {
            assert_eq!(
                done(&mut answers, Event::Fed { pts, rungs: bit(A) | if pts == 2 { 0 } else { bit(B) } }),
                None
            );
        }
        assert_eq!(done(&mut answers, picture(A, 1)), None);
        assert_eq!(done(&mut answers, picture(A, 2)), None);
        // The second was not for this rung.
        assert_eq!(done(&mut answers, picture(B, 1)), Some(2));
        assert_eq!(done(&mut answers, picture(B, 3)), None);
        assert_eq!(done(&mut answers, picture(A, 3)), Some(3));
        assert_eq!(done(&mut answers, Event::Fed { pts: 4, rungs: 0 }), Some(4));
    }

    #[test]
    fn nothing_is_waited_for_of_a_rung_that_ended() {
        let mut answers = Answers::default();
        assert_eq!(done(&mut answers, Event::Fed { pts: 1, rungs: bit(A) }), None);
        assert_eq!(done(&mut answers, Event::Ended(A)), Some(1));
        // The decoder does not know yet.
        assert_eq!(done(&mut answers, Event::Fed { pts: 2, rungs: bit(A) }), Some(2));
        done(&mut answers, Event::Started(A));
        assert_eq!(done(&mut answers, Event::Fed { pts: 3, rungs: bit(A) }), None);
    }
}
