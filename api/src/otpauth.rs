//! What authenticator apps read: the Key URI (after Google Authenticator's wiki) and its QR code.

use domain::{events::TotpAlgorithm, outcome::TotpEnrollment};
use fast_qr::{ECL, QRBuilder, convert::svg::SvgBuilder};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::shapes::Shown;

/// The unreserved characters of RFC 3986 stay as they are.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `otpauth://totp/Issuer:account?secret=…&issuer=…&algorithm=…&digits=…&period=…`
pub(crate) fn uri(enrollment: &TotpEnrollment, issuer: &str) -> Shown {
    let algorithm = match enrollment.algorithm {
        TotpAlgorithm::Sha1 => "SHA1",
        TotpAlgorithm::Sha256 => "SHA256",
        TotpAlgorithm::Sha512 => "SHA512",
    };
    // A colon parts issuer and account in the label, so neither may have one.
    let issuer = issuer.replace(':', " ");
    let account = enrollment.account_name.replace(':', " ");
    let secret = Zeroizing::new(enrollment.secret.to_base32());
    Shown::new(format!(
        "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm={algorithm}&digits={digits}&period={period}",
        issuer = utf8_percent_encode(&issuer, ESCAPED),
        account = utf8_percent_encode(&account, ESCAPED),
        secret = secret.as_str(),
        digits = enrollment.digits,
        period = enrollment.period,
    ))
}

/// The URI as a QR code; none when it is too long for one.
pub(crate) fn qr_svg(uri: &Shown) -> Option<Shown> {
    let code = QRBuilder::new(uri.expose().as_bytes()).ecl(ECL::M).build().ok()?;
    Some(Shown::new(SvgBuilder::default().to_str(&code)))
}

#[cfg(test)]
mod tests {
    use domain::{ids::MethodId, time::Timestamp, values::TotpSecret};

    use super::*;

    #[test]
    fn the_key_uri_is_as_apps_expect_it() {
        let enrollment = TotpEnrollment {
            method_id: MethodId(1),
            secret: TotpSecret::new(b"12345678901234567890".to_vec()),
            algorithm: TotpAlgorithm::Sha1,
            digits: 6,
            period: 30,
            account_name: "anna+test@example.com".to_owned(),
            expires_at: Timestamp::EPOCH,
        };
        let uri = uri(&enrollment, "Example & Söhne: Wien");
        assert_eq!(
            uri.expose(),
            "otpauth://totp/Example%20%26%20S%C3%B6hne%20%20Wien:anna%2Btest%40example.com\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example%20%26%20S%C3%B6hne%20%20Wien\
             &algorithm=SHA1&digits=6&period=30"
        );
        assert!(qr_svg(&uri).is_some_and(|svg| svg.expose().starts_with("<svg")));
    }
}
