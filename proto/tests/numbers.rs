//! The names and numbers of the TiKV client protocol, all of them, against a list.
//!
//! They are facts that clients in the field rely on: a line of `numbers.txt` may be added, never
//! changed. A number that was mistyped twice would go unnoticed here; the list was compared with
//! the documentation of the protocol when it was made.

use protox::prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, MessageDescriptor};

/// The packages whose numbers are not ours to choose.
const PACKAGES: [&str; 6] = ["metapb", "errorpb", "pdpb", "keyspacepb", "kvrpcpb", "tikvpb"];

fn write_message(text: &mut String, message: &MessageDescriptor) {
    if message.is_map_entry() {
        return;
    }
    text.push_str(&format!("{}:", message.full_name()));
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(FieldDescriptor::number);
    for field in fields {
        let star = if field.is_list() || field.is_map() { "*" } else { "" };
        text.push_str(&format!(" {}{star}={}", field.name(), field.number()));
    }
    text.push('\n');
    for child in message.child_messages() {
        write_message(text, &child);
    }
    for child in message.child_enums() {
        write_enum(text, &child);
    }
}

fn write_enum(text: &mut String, chosen: &EnumDescriptor) {
    text.push_str(&format!("enum {}:", chosen.full_name()));
    for value in chosen.values() {
        text.push_str(&format!(" {}={}", value.name(), value.number()));
    }
    text.push('\n');
}

/// What is declared, one line for each message, enum and service.
fn listing() -> String {
    let pool = DescriptorPool::decode(proto::DESCRIPTORS).expect("descriptors that were just made");
    let mut text = String::new();
    for package in PACKAGES {
        let file = pool.files().find(|file| file.package_name() == package);
        let file = file.expect("a file for each package");
        for service in file.services() {
            text.push_str(&format!("service {}:", service.full_name()));
            for method in service.methods() {
                text.push_str(&format!(" {}", method.name()));
            }
            text.push('\n');
        }
        file.enums().for_each(|each| write_enum(&mut text, &each));
        file.messages().for_each(|each| write_message(&mut text, &each));
    }
    text
}

#[test]
fn names_and_numbers_are_those_of_the_protocol() {
    let declared = listing();
    let pinned = include_str!("numbers.txt");
    for (declared, pinned) in declared.lines().zip(pinned.lines()) {
        assert_eq!(declared, pinned);
    }
    assert_eq!(declared.lines().count(), pinned.lines().count(), "declared:\n{declared}");
}

#[test]
fn every_package_is_served_by_reflection() {
    let pool = DescriptorPool::decode(proto::DESCRIPTORS).expect("descriptors that were just made");
    for service in ["tikvpb.Tikv", "pdpb.PD", "keyspacepb.Keyspace", "crib.placement.v1.Admin"] {
        assert!(pool.get_service_by_name(service).is_some(), "{service}");
    }
}
