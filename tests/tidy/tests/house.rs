//! The house rules hold in this work tree.

use std::path::Path;

use tidy::Tree;

#[test]
fn house_rules_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let tree = Tree::load(&root).expect("the work tree can be read");
    assert!(tree.exists("tests/tidy/tests/house.rs"), "not the work tree: {}", root.display());
    let complaints: Vec<String> = tidy::check(&tree).iter().map(ToString::to_string).collect();
    assert!(
        complaints.is_empty(),
        "{} house rules are broken:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}
