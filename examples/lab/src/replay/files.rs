use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The files that are meant, none twice; and what is not there.
pub(super) fn find(patterns: &[String]) -> (Vec<PathBuf>, Vec<String>) {
    let (mut files, mut complaints) = (Vec::new(), Vec::new());
    for pattern in patterns {
        match matches(pattern) {
            Ok(matches) => files.extend(matches),
            Err(complaint) => complaints.push(format!("{pattern}: {complaint}")),
        }
    }
    let mut seen = HashSet::new();
    files.retain(|file| seen.insert(file.clone()));
    (files, complaints)
}

/// A file as it is written, the `*.json` below a folder, or what matches a pattern.
fn matches(pattern: &str) -> Result<Vec<PathBuf>, String> {
    let path = Path::new(pattern);
    let mut files = Vec::new();
    if path.exists() {
        add(path, true, &mut files).map_err(|error| error.to_string())?;
    } else {
        for path in glob::glob(pattern).map_err(|error| error.to_string())? {
            let path = path.map_err(|error| error.to_string())?;
            add(&path, true, &mut files).map_err(|error| error.to_string())?;
        }
    }
    match files.is_empty() {
        false => Ok(files),
        true if path.is_dir() => Err("no *.json in this folder".into()),
        true => Err("no such file, and nothing that matches".into()),
    }
}

/// Adds a file; or, of a folder, what is below it and called `*.json`, by name.
fn add(path: &Path, named: bool, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::path);
        for entry in entries {
            // A link could lead in a circle.
            if entry.file_type()?.is_symlink() && entry.path().is_dir() {
                continue;
            }
            add(&entry.path(), false, files)?;
        }
    } else if named || path.extension().is_some_and(|extension| extension == "json") {
        files.push(path.to_owned());
    }
    Ok(())
}
