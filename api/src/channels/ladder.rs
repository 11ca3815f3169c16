//! Sans-IO: the rungs of a channel, as people choose and see them.

use millrace_core::ladder::{ChannelLadder, LadderMode, LadderPlan, LadderWish, MAX_RUNGS};
use millrace_http::problem::FieldProblem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::problem;

/// When rungs are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LadderWhen {
    /// Never: viewers get what the encoder sends.
    Off,
    /// While somebody watches them.
    OnDemand,
    /// As long as the broadcast is live.
    Always,
}

/// When the rungs of a channel are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LadderChoice {
    /// When the site makes those of others.
    #[default]
    Site,
    /// Never.
    Off,
    /// While somebody watches them.
    OnDemand,
    /// As long as the broadcast is live.
    Always,
}

/// What a channel's ladder is to be, as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LadderEdit {
    /// When rungs are made.
    pub mode: LadderChoice,
    /// Which of the site's rungs, by name; null or absent: all of them.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 6, example = json!(["720p", "360p"]))]
    pub rungs: Option<Vec<String>>,
}

/// Rungs, and when they are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LadderRungs {
    /// When.
    pub mode: LadderWhen,
    /// By name, those with most lines first.
    #[schema(example = json!(["720p", "360p"]))]
    pub rungs: Vec<String>,
}

/// What may be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LadderOption {
    /// When rungs are made.
    pub mode: LadderChoice,
    /// The rungs from which may be chosen then.
    #[schema(example = json!(["720p", "360p"]))]
    pub rungs: Vec<String>,
}

/// The ladder of a channel. What is changed holds from the next broadcast on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LadderView {
    /// When rungs are made.
    pub mode: LadderChoice,
    /// Which of the site's rungs; null: all of them. The site may have some of them no more.
    #[schema(required, example = json!(["720p", "360p"]))]
    pub rungs: Option<Vec<String>>,
    /// What the next broadcast gets of it: no more than the site makes, or than an admin allowed, and what is below what the
    /// encoder sends.
    pub effective: LadderRungs,
    /// What the site makes.
    pub site: LadderRungs,
    /// What whoever asks may choose.
    pub choices: Vec<LadderOption>,
}

impl From<LadderMode> for LadderWhen {
    fn from(mode: LadderMode) -> Self {
        match mode {
            LadderMode::Off => Self::Off,
            LadderMode::OnDemand => Self::OnDemand,
            LadderMode::Always => Self::Always,
        }
    }
}

impl From<Option<LadderMode>> for LadderChoice {
    fn from(mode: Option<LadderMode>) -> Self {
        match mode {
            None => Self::Site,
            Some(LadderMode::Off) => Self::Off,
            Some(LadderMode::OnDemand) => Self::OnDemand,
            Some(LadderMode::Always) => Self::Always,
        }
    }
}

impl From<LadderChoice> for Option<LadderMode> {
    fn from(choice: LadderChoice) -> Self {
        match choice {
            LadderChoice::Site => None,
            LadderChoice::Off => Some(LadderMode::Off),
            LadderChoice::OnDemand => Some(LadderMode::OnDemand),
            LadderChoice::Always => Some(LadderMode::Always),
        }
    }
}

impl From<LadderPlan> for LadderRungs {
    fn from(plan: LadderPlan) -> Self {
        Self { mode: plan.mode.into(), rungs: plan.rungs }
    }
}

impl LadderEdit {
    /// What is wished with it.
    #[must_use]
    pub fn wish(&self) -> LadderWish {
        LadderWish { mode: self.mode.into(), rungs: self.rungs.clone() }
    }

    /// Whether every rung is one of the site's, or was chosen before.
    ///
    /// # Errors
    /// Everything that is wrong, each with the JSON pointer of its field.
    pub fn check(&self, site: &LadderPlan, before: &LadderWish) -> Result<(), Vec<FieldProblem>> {
        let Some(rungs) = &self.rungs else { return Ok(()) };
        if !(1..=MAX_RUNGS).contains(&rungs.len()) {
            let detail = format!(
                "has {} rungs; name 1 to {MAX_RUNGS}. To have none made, set the mode to off",
                rungs.len()
            );
            return Err(vec![problem("/ladder/rungs", detail)]);
        }
        let mut wrong = Vec::new();
        for (number, name) in rungs.iter().enumerate() {
            let mut refuse = |detail: String| wrong.push(problem(&format!("/ladder/rungs/{number}"), detail));
            if !site.rungs.contains(name) && !before.rungs.iter().flatten().any(|known| known == name) {
                refuse(match site.rungs.as_slice() {
                    [] => "is no rung: this site has none".to_owned(),
                    known => format!("is no rung of this site; name some of {}", known.join(", ")),
                });
            } else if rungs[..number].contains(name) {
                refuse("is named before; name it once".to_owned());
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

impl LadderView {
    /// The ladder of a channel, for an admin of the site or for its owner.
    #[must_use]
    pub fn of(ladder: &ChannelLadder, site: &LadderPlan, is_admin: bool) -> Self {
        let modes = [None, Some(LadderMode::Off), Some(LadderMode::OnDemand), Some(LadderMode::Always)];
        let choices = modes.into_iter().filter_map(|mode| {
            let when = mode.unwrap_or(site.mode);
            let rungs = match when {
                LadderMode::Off => Vec::new(),
                _ if is_admin => site.rungs.clone(),
                _ => ladder.may_have(when, site),
            };
            let is_open = mode.is_none() || when == LadderMode::Off || !rungs.is_empty();
            is_open.then(|| LadderOption { mode: mode.into(), rungs })
        });
        Self {
            mode: ladder.wish.mode.into(),
            rungs: ladder.wish.rungs.clone(),
            effective: ladder.comes_to(site).into(),
            site: site.clone().into(),
            choices: choices.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(mode: LadderMode) -> LadderPlan {
        LadderPlan { mode, rungs: vec!["720p".into(), "360p".into()] }
    }

    fn edit(rungs: &[&str]) -> LadderEdit {
        let rungs = Some(rungs.iter().map(ToString::to_string).collect());
        LadderEdit { mode: LadderChoice::Site, rungs }
    }

    #[test]
    fn rungs_are_the_sites_each_once_or_were_chosen_before() {
        let (site, before) = (site(LadderMode::Always), edit(&["1080p"]).wish());
        for (rungs, wrong) in [
            (&["360p", "720p"][..], &[][..]),
            (&["1080p"], &[]),
            (&[], &["/ladder/rungs"]),
            (&["720p"; 7], &["/ladder/rungs"]),
            (&["720p", "144p", "720p", "\0"], &["/ladder/rungs/1", "/ladder/rungs/2", "/ladder/rungs/3"]),
        ] {
            let problems = edit(rungs).check(&site, &before).err().unwrap_or_default();
            let pointers: Vec<_> = problems.into_iter().map(|problem| problem.pointer).collect();
            assert_eq!(pointers, wrong, "{rungs:?}");
        }
        assert!(edit(&["1080p"]).check(&site, &LadderWish::default()).is_err());
        assert!(LadderEdit::default().check(&LadderPlan::default(), &LadderWish::default()).is_ok());
    }

    #[test]
    fn one_sees_what_one_may_choose() {
        let choices = |ladder: &ChannelLadder, mode, is_admin| -> Vec<_> {
            let view = LadderView::of(ladder, &site(mode), is_admin);
            view.choices.into_iter().map(|choice| (choice.mode, choice.rungs.len())).collect()
        };
        use LadderChoice::{Always, Off, OnDemand, Site};
        let owner = ChannelLadder::default();
        assert_eq!(choices(&owner, LadderMode::Off, false), [(Site, 0), (Off, 0)]);
        assert_eq!(choices(&owner, LadderMode::OnDemand, false), [(Site, 2), (Off, 0), (OnDemand, 2)]);
        let all = [(Site, 2), (Off, 0), (OnDemand, 2), (Always, 2)];
        assert_eq!(choices(&owner, LadderMode::Always, false), all);
        assert_eq!(choices(&owner, LadderMode::OnDemand, true), all);
        let allowed = LadderWish { mode: Some(LadderMode::Always), ..edit(&["360p"]).wish() };
        let given = ChannelLadder { allowed, ..ChannelLadder::default() };
        let some = [(Site, 0), (Off, 0), (OnDemand, 1), (Always, 1)];
        assert_eq!(choices(&given, LadderMode::Off, false), some);
    }
}
