"""Verifies access tokens as an app in Python does: by PyJWT and the server's key set, with nothing of Cloakroom.

usage: verify.py ISSUER AUDIENCE TOKEN    prints the claims as JSON, or the name of the error and exits with 1
"""

import json
import sys

import jwt

issuer, audience, token = sys.argv[1:]
try:
    if jwt.get_unverified_header(token)["typ"] != "at+jwt":
        raise jwt.InvalidTokenError("no access token")
    key = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json").get_signing_key_from_jwt(token)
    claims = jwt.decode(
        token,
        key,
        algorithms=["EdDSA", "ES256", "RS256"],
        issuer=issuer,
        audience=audience,
        leeway=5,
        options={"require": ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "sid", "auth_time"]},
    )
except jwt.PyJWTError as error:
    sys.exit(f"{type(error).__name__}: {error}")
print(json.dumps(claims))
