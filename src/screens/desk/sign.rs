//! `/desk/sign-in` and `/desk/sign-off`: a clerk acts at the desk for ten minutes.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};

use super::form::DeskForm;
use crate::gateway::Gateway;
use crate::web::page::see_other;
use crate::web::problem::{Kind, Problem};

/// The page that a sign-in leads back to: one of the desk's own.
fn back(asked: &str) -> &str {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-');
    let is_own = asked.starts_with("/desk/") && asked.bytes().all(is_plain);
    if is_own { asked } else { "/desk?done=signed-in" }
}

#[post("/sign-in")]
pub(in crate::screens) async fn post_sign_in(
    mut form: DeskForm,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    let signed_in = match form.optional("pin") {
        Some(_) => form.sign_in(&gateway).await,
        None => Err(Problem::new(Kind::ClerkRequired, "Type your PIN.")),
    };
    let done = signed_in.map(|()| back(form.text("back")).to_owned());
    form.conclude(&gateway, done).await
}

#[post("/sign-off")]
pub(in crate::screens) async fn post_sign_off(form: DeskForm) -> Result<HttpResponse, Problem> {
    let mut answer = see_other(&"/desk?done=signed-off");
    form.desk.keep(None, &mut answer);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_to_no_other_page() {
        assert_eq!(back("/desk/checks/chk_0"), "/desk/checks/chk_0");
        for other in ["", "/", "//example.com", "/desk/\\example.com", "/desk/?a", "https://example.com", "/kiosk"] {
            assert_eq!(back(other), "/desk?done=signed-in", "{other}");
        }
    }
}
