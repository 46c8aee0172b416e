//! QR codes as inline SVG: no third party sees the secret, and a strict content security policy
//! allows them.

use qrcodegen::{QrCode, QrCodeEcc};
use std::fmt::Write as _;

/// White modules around the code (ISO/IEC 18004).
const MARGIN: i32 = 4;

/// Draws a QR code. `None`: the text is too long for one.
pub fn draw(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let size = code.size() + 2 * MARGIN;
    let mut path = String::new();
    for y in 0..code.size() {
        let mut x = 0;
        while x < code.size() {
            let run = (x..code.size()).take_while(|x| code.get_module(*x, y)).count();
            let run = i32::try_from(run).ok()?;
            if run > 0 {
                write!(path, "M{},{}h{run}v1h-{run}z", x + MARGIN, y + MARGIN).ok()?;
            }
            x += run.max(1);
        }
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" role=\"img\" aria-label=\"QR code\" \
         shape-rendering=\"crispEdges\"><rect width=\"{size}\" height=\"{size}\" fill=\"#fff\"/><path d=\"{path}\" \
         fill=\"#000\"/></svg>"
    ))
}

#[cfg(test)]
mod tests;
