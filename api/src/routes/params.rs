//! Parameters that several operations have, for the description.
#![expect(dead_code, reason = "these types only describe; handlers take the values by themselves")]

use utoipa::IntoParams;

/// Which channel.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct OfChannel {
    /// The channel's name.
    #[param(example = "studio", pattern = "^[a-z0-9_]{3,25}$")]
    name: String,
}

/// Which person.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct OfPerson {
    /// The person's name.
    #[param(example = "ada", pattern = "^[a-z0-9_]{3,25}$")]
    name: String,
}

/// Which person, beside a channel.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct AndPerson {
    /// The person's name.
    #[param(example = "bob", pattern = "^[a-z0-9_]{3,25}$")]
    person: String,
}

/// Which of several things.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ById {
    /// Its id.
    #[param(example = "0198c6d2-0000-7000-8000-000000000000", format = "uuid")]
    id: String,
}

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before; the first page without.
    #[param(
        example = "1763700000000.0198c6d2-0000-7000-8000-000000000000",
        pattern = "^-?[0-9]{1,18}[.][0-9A-Za-z:-]{1,200}$"
    )]
    cursor: Option<String>,
}
