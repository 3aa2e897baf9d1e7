//! The table of `--results FILE.csv`, `.tsv` and `.json`. It grows by a row for each finished task.
//!
//! A row is in the table before its task counts as shown. When a run is killed in between, the task
//! runs again and has two rows: the older one is taken out when the run that continues is over.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::os::files;
use crate::output::Piece;
use crate::output::capture::Broken;
use crate::output::lines::copy;
use crate::report::table::{Row, TableFormat};
use crate::template::Looks;

/// A table, and where it is.
#[derive(Debug)]
pub(crate) struct Table {
    format: TableFormat,
    /// Without one it is standard output.
    file: Option<TableFile>,
    /// It has its first line.
    has_begun: bool,
}

#[derive(Debug)]
struct TableFile {
    path: PathBuf,
    file: File,
    /// The number of bytes of whole rows.
    len: u64,
    /// It can be read and made shorter: it is no device.
    is_regular: bool,
    /// The tasks that have rows; and whether one of them has two.
    tasks: HashSet<u64>,
    has_older: bool,
}

impl Table {
    /// Opens the table, or that on standard output if there is no path. If it `continues`, rows are
    /// added to those that are there.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open(
        format: TableFormat,
        path: Option<&Path>,
        continues: bool,
    ) -> io::Result<Table> {
        let file = path.map(|path| TableFile::open(format, path, continues)).transpose()?;
        let has_begun = file.as_ref().is_some_and(|file| file.len > 0);
        Ok(Table { format, file, has_begun })
    }

    /// What it is called in messages.
    pub(crate) fn name(&self) -> String {
        match &self.file {
            Some(file) => format!("--results {}", file.path.display()),
            None => "standard output".to_owned(),
        }
    }

    /// Adds a row with these streams, with these looks.
    pub(in crate::output) fn add(
        &mut self,
        row: &Row,
        streams: [Piece; 2],
        looks: &Looks,
        stdout: &mut impl Write,
    ) -> Result<(), Broken> {
        let format = self.format;
        let header = match std::mem::replace(&mut self.has_begun, true) {
            true => Vec::new(),
            false => format.header(row.arguments.len()),
        };
        match &mut self.file {
            None => write(format, &header, row, streams, looks, stdout),
            Some(file) => file.add(row.seq, |out| write(format, &header, row, streams, looks, out)),
        }
    }

    /// No row will follow.
    pub(in crate::output) fn close(&mut self) -> io::Result<()> {
        match &mut self.file {
            Some(file) if file.has_older => file.remove_older(self.format),
            _ => Ok(()),
        }
    }
}

fn write(
    format: TableFormat,
    header: &[u8],
    row: &Row,
    streams: [Piece; 2],
    looks: &Looks,
    out: &mut impl Write,
) -> Result<(), Broken> {
    let begins = [header, &format.begin(row)].concat();
    out.write_all(&begins).map_err(Broken::Target)?;
    for (nth, stream) in streams.into_iter().enumerate() {
        out.write_all(&format.before(nth)).map_err(Broken::Target)?;
        // A tag ends with a tab, and colours are not plain, either.
        let has_quotes = format == TableFormat::Json
            || !stream.is_empty() && (!looks.begin.is_empty() || has_special(format, &stream)?);
        format.field(has_quotes, out, |field| copy(stream, field, looks, false).map(drop))?;
    }
    out.write_all(format.end()).map_err(Broken::Target)
}

/// Whether one of its bytes asks for quotes.
fn has_special(format: TableFormat, stream: &Piece) -> Result<bool, Broken> {
    let mut buffer = vec![0; 64 << 10];
    let mut reader = stream.reader().map_err(Broken::Source)?;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(len) if format.needs_quotes(&buffer[..len]) => return Ok(true),
            Ok(_) => {}
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(Broken::Source(why)),
        }
    }
}

impl TableFile {
    fn open(format: TableFormat, path: &Path, continues: bool) -> io::Result<TableFile> {
        let file = files::open_named(path)?;
        let is_regular = file.metadata()?.is_file();
        let (path, len, tasks) = (path.to_owned(), 0, HashSet::new());
        let mut table = TableFile { path, file, len, is_regular, tasks, has_older: false };
        if !continues {
            files::empty(&table.file)?;
        } else if is_regular {
            let (tasks, has_older) = (&mut table.tasks, &mut table.has_older);
            let rows = BufReader::new(File::open(&table.path)?);
            table.len = format.each_row(rows, |row| {
                *has_older |= format.seq_of(row).is_some_and(|seq| !tasks.insert(seq));
                Ok(())
            })?;
            // What a kill or a full disk has left of the last row.
            table.file.set_len(table.len)?;
        }
        Ok(table)
    }

    /// Adds what is written, or nothing if that fails.
    fn add(
        &mut self,
        seq: u64,
        write: impl FnOnce(&mut BufWriter<&File>) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        let mut out = BufWriter::with_capacity(64 << 10, &self.file);
        let written = write(&mut out).and_then(|()| out.flush().map_err(Broken::Target));
        // What is still buffered is not to be written later.
        let _ = out.into_parts();
        if !self.is_regular {
            return written;
        }
        match written {
            Ok(()) => {
                self.len = self.file.metadata().map_err(Broken::Target)?.len();
                self.has_older |= !self.tasks.insert(seq);
            }
            Err(_) => drop(self.file.set_len(self.len)),
        }
        written
    }

    /// Writes a table with the last row of each task, which then replaces this one.
    fn remove_older(&mut self, format: TableFormat) -> io::Result<()> {
        let read = || Ok::<_, io::Error>(BufReader::new(File::open(&self.path)?));
        let (mut at, mut last) = (0_u64, HashMap::new());
        format.each_row(read()?, |row| {
            last.insert(format.seq_of(row), at);
            at += 1;
            Ok(())
        })?;
        let (file, beside) = files::create_beside(&self.path)?;
        let mut out = BufWriter::new(&file);
        let mut at = 0;
        let copied = format.each_row(read()?, |row| {
            let is_last = last.get(&format.seq_of(row)) == Some(&at);
            at += 1;
            if is_last { out.write_all(row) } else { Ok(()) }
        });
        let copied = copied.and_then(|_| out.flush());
        let placed = copied.and_then(|()| {
            file.set_permissions(self.file.metadata()?.permissions())?;
            fs::rename(&beside, &self.path)
        });
        if placed.is_err() {
            let _ = fs::remove_file(&beside);
        }
        placed
    }
}
