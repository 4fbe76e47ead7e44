#!/bin/sh
# From nothing to a working second factor with curl and oathtool. The README shows these steps; a test runs them.
# Needs a running server: cargo run.
set -eu

BASE=${COUNTERSIGN_URL:-http://127.0.0.1:8080}
EMAIL=ada.$(date +%s)@example.com
LOGIN="{\"email\": \"$EMAIL\", \"password\": \"korrekt-Pferd-9\"}"
field() { grep -o "\"$1\":\"\{0,1\}[^\",}]*" | head -n 1 | sed 's/^[^:]*:"\{0,1\}//'; }
inbox() { curl -s "$BASE/dev/inbox.json?to=$EMAIL"; }
code() { until [ "$(inbox | grep -o '"code":"' | wc -l)" -ge "$1" ]; do sleep 0.1; done; inbox | field code; }

# 1. Sign up, and confirm the address with the code from the inbox.
ACCOUNT=$(curl -s "$BASE/v1/accounts" --json "$LOGIN" | field account_id)
curl -s "$BASE/v1/accounts/$ACCOUNT/email/verify" --json "{\"code\": \"$(code 1)\"}"

# 2. Sign in with the password alone: two-factor authentication is not on yet.
SESSION=$(curl -s "$BASE/v1/sign-in" --json "$LOGIN" | field session_token)
AUTH="Authorization: Bearer $SESSION"

# 3. Prove who you are before adding a method; the code for that arrives by itself.
CHECK=$(curl -s "$BASE/v1/verifications" -H "$AUTH" --json '{"purpose": "add_method"}' | field id)
curl -s "$BASE/v1/verifications/$CHECK/attempts" -H "$AUTH" --json "{\"method\": \"email\", \"code\": \"$(code 2)\"}"

# 4. Add an authenticator app: oathtool plays the app. The last answer shows ten recovery codes, this once.
SECRET=$(curl -s "$BASE/v1/accounts/me/methods/totp" -H "$AUTH" --json '{}' | field secret)
DIGITS=$(oathtool --totp --base32 "$SECRET")
curl -s "$BASE/v1/accounts/me/methods/1/enable" -H "$AUTH" --json "{\"code\": \"$DIGITS\", \"label\": \"my phone\"}"

# 5. Sign in again: the password is the first factor only now. A code works once, so this takes the app's next one.
ANSWER=$(curl -s "$BASE/v1/sign-in" --json "$LOGIN")
CHECK=$(echo "$ANSWER" | field id)
TOKEN=$(echo "$ANSWER" | field token)
DIGITS=$(oathtool --totp --base32 --now '30 seconds' "$SECRET")
curl -s "$BASE/v1/verifications/$CHECK/attempts" -H "Authorization: Bearer $TOKEN" \
  --json "{\"method\": \"totp\", \"code\": \"$DIGITS\"}"
