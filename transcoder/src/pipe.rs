//! Shell: orders from standard input, reports to standard output, complaints to standard error.

use std::fs::File;
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::os::fd::AsFd;

use anyhow::Context;
use millrace_core::transcode::{self, WireError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Read at once: what a pipe holds.
const READ_BYTES: usize = 64 << 10;

/// Standard input.
///
/// # Errors
/// When it is closed.
pub(crate) fn input() -> anyhow::Result<File> {
    Ok(io::stdin().as_fd().try_clone_to_owned().context("standard input cannot be used")?.into())
}

/// Standard output, without the buffer of lines that the library keeps.
///
/// # Errors
/// When it is closed.
pub(crate) fn output() -> anyhow::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned().context("standard output cannot be used")?.into())
}

/// A line for the server's log.
pub(crate) fn complain(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// The orders that come, until the input ends, be it in the middle of one.
pub(crate) struct Orders<T> {
    input: File,
    reader: transcode::Reader,
    buffer: Vec<u8>,
    order: PhantomData<T>,
}

impl<T: DeserializeOwned> Orders<T> {
    pub(crate) fn of(input: File) -> Self {
        Self { input, reader: transcode::Reader::default(), buffer: vec![0; READ_BYTES], order: PhantomData }
    }

    /// The next order, `None` at the end.
    ///
    /// # Errors
    /// What cannot be read; there is nothing after it.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<T>> {
        loop {
            if let Some(order) = self.reader.message().context("an order cannot be read")? {
                return Ok(Some(order));
            }
            match self.input.read(&mut self.buffer) {
                Ok(0) => return Ok(None),
                Ok(bytes) => self.reader.push(&self.buffer[..bytes]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("standard input cannot be read"),
            }
        }
    }
}

/// The reports: what is put together leaves in one write.
pub(crate) struct Reports {
    output: File,
    buffer: Vec<u8>,
}

impl Reports {
    pub(crate) fn to(output: File) -> Self {
        Self { output, buffer: Vec::new() }
    }

    /// Appends a report.
    ///
    /// # Errors
    /// [`WireError`]: the report is not written, and nothing else is lost.
    pub(crate) fn push<T: Serialize>(&mut self, report: &T) -> Result<(), WireError> {
        transcode::write(report, &mut self.buffer)
    }

    /// Bytes that wait for [`Self::flush`].
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Writes what was appended.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.output.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}
