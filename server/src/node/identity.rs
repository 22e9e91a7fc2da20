//! Whose data this is: the file `IDENTITY` of a data directory.
//!
//! Text, so that a person can read it:
//!
//! ```text
//! format 1
//! nonce 0f3a9c…        chosen once, at random: by it placement knows a store that asks twice
//! cluster 1234         once it is known
//! store 4
//! api-version v2
//! begun yes            its engine has been made: without one, everything is lost
//! removed yes          the cluster has removed the store: it never takes part again
//! ```
//!
//! Invariant: what stands in it never changes, lines are only added. It is replaced as a whole, so
//! that a crash leaves the old or the new one.

use std::path::{Path, PathBuf};
use std::{fs, io};

use types::{ClusterId, StoreId};

use super::files;

/// Name of the file.
const NAME: &str = "IDENTITY";
/// Version of the layout of the data directory.
const FORMAT: u64 = 1;

/// Whose data a directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Chosen when the directory was first used.
    pub nonce: u64,
    /// Cluster and store, once they are known.
    pub member: Option<Member>,
    /// Whether its engine was made.
    pub is_begun: bool,
    /// Whether the cluster has removed the store.
    pub is_removed: bool,
}

/// A store of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The cluster.
    pub cluster: ClusterId,
    /// The store.
    pub store: StoreId,
    /// How the cluster forms keys, by name.
    pub api_version: String,
}

/// Why an identity cannot be used.
#[derive(Debug)]
pub enum IdentityError {
    /// The file cannot be read or written.
    Io(PathBuf, io::Error),
    /// It says something that makes no sense.
    Bad(PathBuf, String),
    /// It was written by another version.
    Format(PathBuf, u64),
}

impl Identity {
    /// Reads the identity of a directory; a new one, with `nonce`, if it has none.
    ///
    /// # Errors
    /// If there is a file that cannot be read, or says something else.
    pub fn open(dir: &Path, nonce: u64) -> Result<Identity, IdentityError> {
        if let Some(found) = Identity::read(dir)? {
            return Ok(found);
        }
        let new = Identity { nonce, member: None, is_begun: false, is_removed: false };
        new.save(dir)?;
        Ok(new)
    }

    /// Reads the identity of a directory, if it has one.
    ///
    /// # Errors
    /// If there is a file that cannot be read, or says something else.
    pub fn read(dir: &Path) -> Result<Option<Identity>, IdentityError> {
        let path = dir.join(NAME);
        match fs::read_to_string(&path) {
            Ok(text) => parse(&text, &path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(IdentityError::Io(path, error)),
        }
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), IdentityError> {
        files::replace(dir, NAME, &self.text())
            .map_err(|error| IdentityError::Io(dir.join(NAME), error))
    }

    fn text(&self) -> String {
        let mut text = format!("format {FORMAT}\nnonce {:016x}\n", self.nonce);
        if let Some(Member { cluster, store, api_version }) = &self.member {
            let (cluster, store) = (cluster.get(), store.get());
            text += &format!("cluster {cluster}\nstore {store}\napi-version {api_version}\n");
        }
        if self.is_begun {
            text += "begun yes\n";
        }
        if self.is_removed {
            text += "removed yes\n";
        }
        text
    }
}

fn parse(text: &str, path: &Path) -> Result<Identity, IdentityError> {
    let bad = |why: String| IdentityError::Bad(path.to_owned(), why);
    let mut format = None;
    let mut nonce = None;
    let (mut is_begun, mut is_removed) = (false, false);
    let (mut cluster, mut store, mut api_version) = (None, None, None);
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (key, value) = line.split_once(' ').ok_or_else(|| bad(format!("line `{line}`")))?;
        let number = || value.parse::<u64>().map_err(|error| bad(format!("{key}: {error}")));
        match key {
            "format" => format = Some(number()?),
            "nonce" => {
                let parsed = u64::from_str_radix(value, 16);
                nonce = Some(parsed.map_err(|error| bad(format!("{key}: {error}")))?);
            }
            "cluster" => cluster = ClusterId::new(number()?),
            "store" => store = StoreId::new(number()?),
            "begun" if value == "yes" => is_begun = true,
            "removed" if value == "yes" => is_removed = true,
            "api-version" => api_version = Some(value.to_owned()),
            _ => return Err(bad(format!("`{key}` is not known"))),
        }
    }
    match format {
        Some(FORMAT) => {}
        Some(other) => return Err(IdentityError::Format(path.to_owned(), other)),
        None => return Err(bad("format is missing".to_owned())),
    }
    let nonce = nonce.ok_or_else(|| bad("nonce is missing".to_owned()))?;
    let member = match (cluster, store, api_version) {
        (Some(cluster), Some(store), Some(api_version)) => {
            Some(Member { cluster, store, api_version })
        }
        (None, None, None) => None,
        _ => return Err(bad("cluster, store and api-version come together".to_owned())),
    };
    Ok(Identity { nonce, member, is_begun, is_removed })
}

impl std::fmt::Display for IdentityError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            IdentityError::Io(path, error) => write!(f, "{}: {error}", path.display()),
            IdentityError::Bad(path, why) => {
                write!(f, "{} cannot be understood: {why}", path.display())
            }
            IdentityError::Format(path, found) => {
                write!(f, "{} has format {found}, this version reads {FORMAT}", path.display())
            }
        }
    }
}

impl std::error::Error for IdentityError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_read_and_a_new_directory_gets_a_nonce() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut identity = Identity::open(dir.path(), 7).expect("new");
        let new = Identity { nonce: 7, member: None, is_begun: false, is_removed: false };
        assert_eq!(identity, new);
        identity.member = Some(Member {
            cluster: ClusterId::new(3).expect("not zero"),
            store: StoreId::new(4).expect("not zero"),
            api_version: "v2".to_owned(),
        });
        identity.save(dir.path()).expect("saved");
        assert_eq!(Identity::open(dir.path(), 8).expect("old"), identity);
        identity.is_begun = true;
        identity.is_removed = true;
        identity.save(dir.path()).expect("saved");
        assert_eq!(Identity::open(dir.path(), 8).expect("old"), identity);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let cases = [
            ("nonce 1\n", "format is missing"),
            ("format 2\nnonce 1\n", "has format 2, this version reads 1"),
            ("format 1\n", "nonce is missing"),
            ("format 1\nnonce 1\ncluster 1\n", "come together"),
            ("format 1\nnonce 1\ncolour red\n", "`colour` is not known"),
            ("format 1\nnonce 1\nbegun no\n", "`begun` is not known"),
            ("format one\nnonce 1\n", "invalid digit"),
        ];
        for (text, why) in cases {
            fs::write(dir.path().join(NAME), text).expect("written");
            let said = Identity::open(dir.path(), 7).expect_err(text).to_string();
            assert!(said.contains(why), "{said}");
        }
    }
}
