//! Every `Cargo.toml` agrees with the crate table.
//!
//! A dependency is ours when it resolves to a `path`, whatever its key: `old = { package = "raft",
//! version = … }` is somebody else's crate. Versions are set once, in the root manifest.

use toml::{Table, Value};

use crate::table::{self, EXCLUSIVE, Names, Purity, Row};
use crate::tree::SourceFile;
use crate::{Complaint, Tree};

const ROOT: &str = "Cargo.toml";

/// Checks the members of the workspace and their dependencies.
pub fn check(tree: &Tree) -> Vec<Complaint> {
    let mut found = Vec::new();
    let Some(root) = tree.file(ROOT) else { return found };
    let Some(workspace) = parse(root, &mut found) else { return found };
    let members = strings(get(&workspace, &["workspace", "members"]));
    for file in tree.files() {
        let Some(home) = file.path.strip_suffix("/Cargo.toml") else { continue };
        if !members.contains(&home) {
            found.push(Complaint::new(
                &file.path,
                1,
                format!("crate `{home}` is outside the workspace"),
                "add its path to `members` in Cargo.toml",
            ));
        }
        let Some(manifest) = parse(file, &mut found) else { continue };
        let member = Member { file, home, manifest: &manifest, workspace: &workspace };
        member.check(&mut found);
    }
    found
}

fn parse(file: &SourceFile, found: &mut Vec<Complaint>) -> Option<Table> {
    match file.text.parse::<Table>() {
        Ok(table) => Some(table),
        Err(error) => {
            let what = format!("manifest cannot be read: {}", error.message());
            found.push(Complaint::new(&file.path, 1, what, "correct it"));
            None
        }
    }
}

/// A crate of the workspace, and the root manifest it inherits from.
struct Member<'a> {
    file: &'a SourceFile,
    home: &'a str,
    manifest: &'a Table,
    workspace: &'a Table,
}

/// One dependency, with inheritance resolved.
struct Dependency<'a> {
    key: &'a str,
    /// The name of the package, which may differ from the key.
    package: &'a str,
    is_ours: bool,
    is_inherited: bool,
    has_git: bool,
}

impl Member<'_> {
    fn check(&self, found: &mut Vec<Complaint>) {
        let name = get(self.manifest, &["package", "name"]).and_then(Value::as_str).unwrap_or("");
        let Some(row) = table::row(name) else {
            found.push(self.complain(
                "name",
                format!("crate `{name}` is not in the crate table"),
                "make it a module, or add a row to tests/tidy/src/table.rs and a decision record",
            ));
            return;
        };
        if row.path != self.home {
            found.push(self.complain(
                "name",
                format!("crate `{name}` lies in `{}`", self.home),
                format!("move it to `{}`, its place in the crate table", row.path),
            ));
        }
        if get(self.manifest, &["lints", "workspace"]).and_then(Value::as_bool) != Some(true) {
            found.push(self.complain(
                "[lints",
                format!("crate `{name}` does not take the workspace's lints"),
                "add `[lints]` with `workspace = true`",
            ));
        }
        for dependency in self.dependencies("dependencies") {
            self.check_shipped(row, &dependency, found);
        }
        for dependency in self.dependencies("build-dependencies") {
            self.check_shipped(row, &dependency, found);
        }
        for dependency in self.dependencies("dev-dependencies") {
            self.check_dev(row, &dependency, found);
        }
    }

    /// A dependency of what is shipped.
    fn check_shipped(&self, row: &Row, dependency: &Dependency<'_>, found: &mut Vec<Complaint>) {
        self.check_any(row, dependency, found);
        let Dependency { key, package, .. } = dependency;
        if dependency.is_ours {
            if !row.may_name(package) {
                let what = format!("`{}` may not name `{package}`", row.name);
                found.push(self.complain(key, what, allowed(row)));
            }
            return;
        }
        if let Purity::Pure { outside } = row.purity
            && !outside.contains(package)
        {
            found.push(self.complain(
                key,
                format!("pure crate `{}` depends on `{package}`", row.name),
                "write the little it needs, or move what needs it to a crate that is not pure",
            ));
        }
    }

    /// A dependency of tests, examples and benchmarks.
    fn check_dev(&self, row: &Row, dependency: &Dependency<'_>, found: &mut Vec<Complaint>) {
        self.check_any(row, dependency, found);
        let Dependency { key, package, .. } = dependency;
        let is_test_world = table::row(package).is_some_and(Row::is_test_world);
        if dependency.is_ours && !is_test_world && !row.may_name(package) {
            let what = format!("`{}` may not name `{package}`, not even in tests", row.name);
            found.push(self.complain(key, what, allowed(row)));
        }
    }

    fn check_any(&self, row: &Row, dependency: &Dependency<'_>, found: &mut Vec<Complaint>) {
        let Dependency { key, package, .. } = dependency;
        if dependency.has_git {
            let what = format!("`{package}` comes from a git repository");
            found.push(self.complain(key, what, "use a published version"));
        } else if !dependency.is_inherited {
            let what = format!("`{key}` is not inherited from the workspace");
            let instead = "set it in `[workspace.dependencies]`, here `workspace = true`";
            found.push(self.complain(key, what, instead));
        }
        for (third_party, owner) in EXCLUSIVE {
            if package == third_party && row.name != *owner && row.name != "benches" {
                let what = format!("`{}` depends on `{third_party}`", row.name);
                let instead = format!("go through `{owner}`, which alone names it");
                found.push(self.complain(key, what, instead));
            }
        }
    }

    /// The dependencies in `section`, also those for some targets only.
    fn dependencies(&self, section: &str) -> Vec<Dependency<'_>> {
        let targets = get(self.manifest, &["target"]).and_then(Value::as_table);
        let targets = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
        std::iter::once(self.manifest)
            .chain(targets)
            .filter_map(|table| table.get(section)?.as_table())
            .flatten()
            .map(|(key, value)| self.resolve(key, value))
            .collect()
    }

    fn resolve<'a>(&'a self, key: &'a str, value: &'a Value) -> Dependency<'a> {
        let is_inherited = value.get("workspace").and_then(Value::as_bool) == Some(true);
        let inherited = get(self.workspace, &["workspace", "dependencies", key]);
        let source = if is_inherited { inherited.unwrap_or(value) } else { value };
        Dependency {
            key,
            package: source.get("package").and_then(Value::as_str).unwrap_or(key),
            is_ours: source.get("path").is_some(),
            is_inherited,
            has_git: source.get("git").is_some(),
        }
    }

    /// A complaint at the line that starts with `key`.
    fn complain(&self, key: &str, what: String, instead: impl Into<String>) -> Complaint {
        Complaint::new(&self.file.path, self.file.line_of(key), what, instead)
    }
}

fn allowed(row: &Row) -> String {
    let (Names::Only(names) | Names::TestWorld(names)) = row.names else {
        return "name a crate of the crate table".to_string();
    };
    match names {
        [] => "it names no workspace crate; see tests/tidy/src/table.rs".to_string(),
        names => format!("it may name {}; see tests/tidy/src/table.rs", names.join(", ")),
    }
}

fn get<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let mut value = table.get(*first)?;
    for key in rest {
        value = value.get(key)?;
    }
    Some(value)
}

fn strings(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests;
