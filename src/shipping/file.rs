//! JSON lines in a file. It is opened for each batch, so that log rotation needs no signal.

use super::ShippingFault;
use crate::domain::audit::shipping::{RecordFormat, SealedRecord, ascii_json};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Bytes that are read at once in search of the last whole line.
const CHUNK: usize = 64 * 1024;

/// Appends a line for each record; they are on the disk when this returns.
pub(super) async fn append(path: &Path, records: &[SealedRecord], format: RecordFormat) -> Result<(), ShippingFault> {
    let mut text = String::new();
    for record in records {
        text.push_str(&ascii_json(&record.to_format(format)));
        text.push('\n');
    }
    let path: PathBuf = path.to_owned();
    let written = tokio::task::spawn_blocking(move || {
        write(&path, &text).map_err(|error| ShippingFault::File(format!("{}: {error}", path.display())))
    });
    written.await.map_err(|error| ShippingFault::File(error.to_string()))?
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let is_new = !path.try_exists()?;
    // Names and IP addresses are for the operator only.
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .mode(0o600)
        .open(path)?;
    let end = end_of_lines(&mut file)?;
    if end < file.metadata()?.len() {
        file.set_len(end)?;
    }
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // A part of the batch would be a broken line.
        file.set_len(end)?;
        return Err(error);
    }
    if let Some(folder) = path.parent().filter(|_| is_new) {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Returns the length of the file up to the end of its last whole line. What follows was cut off by
/// a crash, and is written again.
fn end_of_lines(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut buffer = vec![0; CHUNK];
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let part = &mut buffer[..usize::try_from(end - start).unwrap_or(CHUNK)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(place) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + place as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests;
