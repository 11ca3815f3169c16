//! Names of what this crate counts.

use metrics::{counter, describe_counter, describe_gauge, gauge};

/// What became of a mail.
const MAIL_OUTCOMES: [&str; 4] = ["sent", "retried", "given_up", "refused"];
/// What became of a notice that was pushed.
const PUSH_RESULTS: [&str; 4] = ["delivered", "gone", "refused", "given_up"];

/// Makes every series, at zero, with the recorder that is installed now: the first event of a kind is then a rise that
/// an alert can see, and not a series that begins.
pub fn register() {
    describe_counter!("millrace_mails_total", "Mails by what became of them");
    for outcome in MAIL_OUTCOMES {
        counter!("millrace_mails_total", "outcome" => outcome).absolute(0);
    }
    describe_gauge!("millrace_mails_waiting", "Mails in the queue");
    gauge!("millrace_mails_waiting").set(0);
    describe_counter!("millrace_push_total", "Notices pushed to browsers by what became of them");
    for result in PUSH_RESULTS {
        counter!("millrace_push_total", "result" => result).absolute(0);
    }
    for (name, about) in [
        ("millrace_sign_ins_total", "Sessions that began with a sign-in"),
        ("millrace_registrations_total", "Accounts that people made"),
        ("millrace_sign_in_limited_total", "Tries to get in that a limit refused"),
        ("millrace_reports_total", "Reports of channels and people"),
    ] {
        describe_counter!(name, about);
        counter!(name).absolute(0);
    }
}
