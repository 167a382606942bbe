//! `/v2/identity.json`: the number of a person, who is named as their network does.

use actix_web::web::{Data, ReqData};
use actix_web::{HttpResponse, get};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::user::find_known;
use crate::access::Principal;
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::{SubjectHandle, SubjectRef};
use crate::gateway::Gateway;
use crate::http::v1::checks::read_subject;
use crate::scores::klout_ids::{NewKloutId, TRIES};
use crate::web::extract::Path;
use crate::web::params::Params;
use crate::web::problem::Problem;

/// Klout's numbers fit a double.
const BITS: u32 = 53;

/// The network of Klout's own numbers.
const KLOUT_SCORE: &str = "ks";

#[derive(Serialize)]
struct Identity {
    id: String,
    network: &'static str,
}

#[derive(Deserialize)]
pub(super) struct ScreenName {
    #[serde(rename = "screenName")]
    screen_name: String,
}

#[get("/identity.json/twitter")]
pub(super) async fn get_identity_of_screen_name(
    caller: ReqData<Arc<Principal>>,
    gateway: Data<Gateway>,
    query: Params<ScreenName>,
) -> Result<HttpResponse, Problem> {
    let name = &query.screen_name;
    let handle = read_subject(&format!("twitter:{}", name.strip_prefix('@').unwrap_or(name)))?;
    let merchant = &caller.merchant()?.id;
    let new = NewKloutId {
        subject: gateway.keyring.subject_refs(merchant, &handle),
        ids: ids_of(&gateway, merchant, &gateway.keyring.subject_ref(merchant, &handle)),
        sealed: seal(&gateway, merchant, &handle),
    };
    let id = gateway.scores.klout_id(merchant, new).await?.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok().json(Identity { id: id.to_string(), network: KLOUT_SCORE }))
}

/// Numbers of other networks are of accounts that nobody has linked: the only ones that are known are Klout's own.
#[get("/identity.json/{network}/{id}")]
pub(super) async fn get_identity(
    caller: ReqData<Arc<Principal>>,
    gateway: Data<Gateway>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (network, id) = path.into_inner();
    if network != "klout" && network != KLOUT_SCORE {
        return Err(Problem::not_found());
    }
    let known = find_known(&gateway, &caller.merchant()?.id, &id).await?;
    Ok(HttpResponse::Ok().json(Identity { id: known.id, network: KLOUT_SCORE }))
}

/// The number that another network has for the person, which is not known.
#[get("/identity.json/klout/{id}/{network}")]
pub(super) async fn get_networks_of_id(_: ReqData<Arc<Principal>>) -> Result<HttpResponse, Problem> {
    Err(Problem::not_found())
}

fn ids_of(gateway: &Gateway, merchant: &MerchantId, subject: &SubjectRef) -> [i64; TRIES] {
    std::array::from_fn(|nth| {
        let nth = u8::try_from(nth).unwrap_or(u8::MAX);
        let parts: [&[u8]; 5] = [b"klout id\0", &[nth], merchant.as_str().as_bytes(), b"\0", &subject.0];
        let hash = gateway.keyring.blind(&parts);
        let (first, _) = hash.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        i64::try_from(u64::from_be_bytes(*first) >> (u64::BITS - BITS)).unwrap_or(i64::MAX)
    })
}

/// The handle under the gateway's key, as the names of people in events are kept until they are erased.
fn seal(gateway: &Gateway, merchant: &MerchantId, handle: &SubjectHandle) -> Vec<u8> {
    gateway.keyring.seal_outcome(&bound_to(merchant), handle.as_str().as_bytes())
}

/// The text that a handle is sealed with: it opens for its own merchant only.
pub(super) fn bound_to(merchant: &MerchantId) -> Vec<u8> {
    format!("klout id\0{}", merchant.as_str()).into_bytes()
}
