//! Examples of texts by the names of their fields, for those that have none of their own.
//!
//! A field of the same name means the same everywhere, so one example does for all. A field whose example differs says
//! so itself: `#[schema(example = …)]`.

use utoipa::openapi::schema::{Object, Schema, SchemaType, Type};
use utoipa::openapi::{Components, RefOr};

/// Names of fields, and what stands there.
const EXAMPLES: &[(&str, &str)] = &[
    ("avatar_url", "/avatars/0198c6d2-0000-7000-8000-000000000000"),
    ("bio", "Builds boats."),
    ("category", "Crafts"),
    ("code", "123456"),
    ("current", "kettle-harbour-violet-42"),
    ("description", "Wooden boats, from the keel up."),
    ("detail", "There is nothing at this address. Check it for typing errors."),
    ("display_name", "Ada L."),
    ("email", "ada@example.org"),
    ("encoder", "OBS Studio 32.0"),
    ("hint", "x7Qf"),
    ("id", "0198c6d2-0000-7000-8000-000000000000"),
    ("invitation", "pN0QdAqTn3v0mGsW8dY3c1zJ5hXkR7bEo2LfUi6V4tA"),
    ("label", "Google"),
    ("language", "en"),
    ("name", "ada"),
    ("new_email", "ada@example.net"),
    ("next_cursor", "1763700000000.0198c6d2-0000-7000-8000-000000000000"),
    ("note", "With a guest."),
    ("otpauth_url", "otpauth://totp/Millrace:ada?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Millrace"),
    ("password", "kettle-harbour-violet-42"),
    ("pointer", "/title"),
    ("provider", "google"),
    ("reason", "the store does not answer"),
    ("rules", "Be kind."),
    ("secret", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"),
    ("sentence", "Set the keyframe interval of the encoder to two seconds."),
    ("target", "ada"),
    ("text", "The same advertisement since yesterday."),
    ("title", "Building a boat, day 12"),
    ("token", "pN0QdAqTn3v0mGsW8dY3c1zJ5hXkR7bEo2LfUi6V4tA"),
    ("type", "/problems/not-found"),
    ("url", "https://accounts.example.org/authorize?client_id=millrace"),
];

/// Gives every text an example.
pub(super) fn add(components: &mut Components) {
    each_text(components, |_, field, text| {
        if let Some((_, example)) = EXAMPLES.iter().find(|(name, _)| *name == field) {
            text.example = Some((*example).into());
        }
    });
}

/// Calls for every text without an example: the name of its schema, of its field, and what is said of it.
pub(super) fn each_text(components: &mut Components, mut call: impl FnMut(&str, &str, &mut Object)) {
    for (name, schema) in &mut components.schemas {
        let RefOr::T(schema) = schema else { continue };
        each_of(schema, &mut |field, text| call(name, field, text));
    }
}

fn each_of(schema: &mut Schema, call: &mut impl FnMut(&str, &mut Object)) {
    match schema {
        Schema::Object(object) => {
            for (field, property) in &mut object.properties {
                if let RefOr::T(Schema::Object(text)) = property
                    && says_nothing(text)
                {
                    call(field, text);
                }
            }
        }
        Schema::AllOf(all) => {
            for part in &mut all.items {
                if let RefOr::T(part) = part {
                    each_of(part, call);
                }
            }
        }
        _ => {}
    }
}

fn says_nothing(text: &Object) -> bool {
    let string = match &text.schema_type {
        SchemaType::Type(kind) => *kind == Type::String,
        SchemaType::Array(kinds) => kinds.contains(&Type::String),
        SchemaType::AnyValue => false,
    };
    string
        && text.example.is_none()
        && text.examples.is_empty()
        && text.format.is_none()
        && text.enum_values.is_none()
}
