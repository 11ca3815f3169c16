//! The program as a process, with media that the ffmpeg command makes and judges.
#![expect(clippy::unwrap_used, reason = "tests")]

mod ladder;
mod media;
mod process;
mod sound;
mod stills;

use std::process::{Command, Output};

use process::PROGRAM;

fn started_with(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).stdin(std::process::Stdio::null()).output().unwrap()
}

#[test]
fn wrong_usage_is_said_with_64() {
    for arguments in [&[][..], &["ladders"], &["ladder", "stills"], &["--verbose"]] {
        let output = started_with(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(
            output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).contains("usage:"),
            "{arguments:?}"
        );
    }
}

#[test]
fn the_version_is_that_of_the_server() {
    let output = started_with(&["--version"]);
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        concat!("millrace-transcoder ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn the_end_of_the_orders_is_the_end() {
    for job in ["ladder", "stills", "sound"] {
        let output = started_with(&[job]);
        assert!(
            output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
            "{job}: {output:?}"
        );
    }
}

#[test]
fn an_end_in_the_middle_of_an_order_is_one_too() {
    for job in ["ladder", "stills", "sound"] {
        let (code, complaint) = process::fed_with(job, &[0, 0, 1, 0, 1, 2, 3]);
        assert_eq!((code, complaint.as_str()), (Some(0), ""), "{job}");
    }
}

#[test]
fn what_is_no_order_is_an_error_that_says_so() {
    for job in ["ladder", "stills", "sound"] {
        for bytes in [&[0xff; 16][..], &[0, 0, 0, 2, 0xff, 0xff]] {
            let (code, complaint) = process::fed_with(job, bytes);
            assert_eq!(code, Some(1), "{job}");
            assert!(
                complaint.contains("an order cannot be read") && complaint.lines().count() == 1,
                "{job}: {complaint}"
            );
        }
    }
}
