//! `google.iam.credentials.v1.IAMCredentials`: tokens of another service account. Everybody may have those of everybody.

use jiff::SignedDuration;
use tonic::{Request, Response, Status};

use super::{MESSAGE_BYTES_MAX, wkt};
use crate::emulator::identity::Identity;
use crate::emulator::pb::google::iam::credentials::v1 as pb;
use crate::emulator::pb::google::iam::credentials::v1::iam_credentials_server::{IamCredentials, IamCredentialsServer};
use crate::emulator::state::Refusal;

/// A token lives this long unless the request says otherwise, and no longer.
const LIFETIME_MAX: SignedDuration = SignedDuration::from_secs(3600);

pub(crate) fn service(identity: Identity) -> IamCredentialsServer<Service> {
    IamCredentialsServer::new(Service { identity }).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

/// The service on the emulator's identities.
#[derive(Debug)]
pub(crate) struct Service {
    identity: Identity,
}

#[tonic::async_trait]
impl IamCredentials for Service {
    async fn generate_access_token(
        &self,
        request: Request<pb::GenerateAccessTokenRequest>,
    ) -> Result<Response<pb::GenerateAccessTokenResponse>, Status> {
        let request = request.into_inner();
        let email = account(&request.name)?;
        if request.scope.iter().all(String::is_empty) {
            return Err(Refusal::invalid("The request is missing the field `scope`: at least one OAuth scope is required.").into());
        }
        let lifetime = request.lifetime.map_or(LIFETIME_MAX, |lifetime| SignedDuration::new(lifetime.seconds, lifetime.nanos));
        if lifetime <= SignedDuration::ZERO || lifetime > LIFETIME_MAX {
            return Err(Refusal::invalid("The access token lifetime must be positive and cannot exceed 3600 seconds.").into());
        }
        let (access_token, expires) = self.identity.impersonated(email, &request.scope.join(" "), lifetime);
        Ok(Response::new(pb::GenerateAccessTokenResponse { access_token, expire_time: Some(wkt::timestamp(expires)) }))
    }

    async fn generate_id_token(
        &self,
        request: Request<pb::GenerateIdTokenRequest>,
    ) -> Result<Response<pb::GenerateIdTokenResponse>, Status> {
        let request = request.into_inner();
        let email = account(&request.name)?.to_owned();
        if request.audience.is_empty() {
            return Err(Refusal::invalid("The request is missing the field `audience`.").into());
        }
        let token = self.identity.id_token_of(email, request.audience, request.include_email).await.map_err(Status::internal)?;
        Ok(Response::new(pb::GenerateIdTokenResponse { token }))
    }
}

/// The account of `projects/-/serviceAccounts/EMAIL`.
fn account(name: &str) -> Result<&str, Refusal> {
    let email = name.strip_prefix("projects/").and_then(|rest| rest.split_once("/serviceAccounts/")).map(|(_, email)| email);
    email
        .filter(|email| email.contains('@'))
        .ok_or_else(|| Refusal::invalid("Invalid form for name. Use the format: projects/-/serviceAccounts/{ACCOUNT_EMAIL_OR_UNIQUEID}."))
}
