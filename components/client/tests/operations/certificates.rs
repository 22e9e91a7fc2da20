//! Connections with certificates.

use client::{Client, Error, Options};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

use crate::world::World;

type Signer = CertifiedIssuer<'static, KeyPair>;

fn signer() -> Signer {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("a signature")
}

fn identity(by: &Signer) -> Identity {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let cert = params.signed_by(&key, by).expect("a signature");
    Identity::from_pem(cert.pem(), key.serialize_pem())
}

fn trust(signer: &Signer) -> Certificate {
    Certificate::from_pem(signer.pem())
}

#[tokio::test]
async fn both_ends_prove_who_signed_them() {
    let (ours, other) = (signer(), signer());
    let tls = ServerTlsConfig::new().identity(identity(&ours)).client_ca_root(trust(&ours));
    let world = World::with_tls(tls);
    let with = |signed: &Signer, trusted: &Signer| {
        let tls = ClientTlsConfig::new().identity(identity(signed)).ca_certificate(trust(trusted));
        Options { tls: Some(tls.into()), ..world.options() }
    };
    let client = world.client_with(with(&ours, &ours)).await;
    client.put("a", "1").await.unwrap();
    assert!(client.get("a").await.unwrap().is_some());
    client.compare_and_delete("a", "1").await.unwrap();

    let refused = async |options| {
        Client::connect(&world.endpoints(), options).await.err().expect("it is not let in")
    };
    let error = refused(with(&ours, &other)).await;
    assert!(matches!(error, Error::Denied(_)), "{error}");
    // What these ends say to a stranger may be lost with the connection.
    for options in [with(&other, &ours), world.options()] {
        let error = refused(options).await;
        assert!(matches!(error, Error::Denied(_) | Error::NotConnected(_)), "{error}");
    }
}
