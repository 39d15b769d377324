# The report of `cloakroom attack`: its frame. What an attack is, and what was seen, stands in the attacks' own words.

title = Cloakroom under attack
about = Each attack was tried on a deliberately careless login first, where it must succeed or it shows nothing, and then on Cloakroom by each method.
contents = Contents

verdict = In short
verdict-good = No attack succeeded against Cloakroom, and each succeeded on the careless login.
verdict-tried = Nothing that was tried succeeded against Cloakroom, but not everything was tried.
verdict-wrong = Something came out as it must not: see what is marked with an exclamation mark.
verdict-cloakroom = Attacks tried: { $attacks }. Against Cloakroom, tries that failed: { $failed }; that worked for a while, no longer than declared: { $windows }; that succeeded: { $succeeded }.
verdict-careless = Against the careless login, tries that succeeded as they must: { $succeeded }; that failed though they must not: { $defects }.
notice-wrong = { $who }: { $word }. { $evidence }
notice-left-out = Left out: { $attacks }. { $why }. What is left out counts neither way.

windows = What works for a while
windows-text = Whoever holds a copy of a bearer token, or has script in the page, can use it until something ends it; no login can prevent that. Each of these was declared beforehand with its longest time, and a longer one counts as succeeded. A server that was started for the run has short lifetimes, so that they can be waited for; with longer ones these times grow in proportion.
windows-caption = Tries that worked for a while
window-for = worked for
window-seen = what was seen, and what was declared

matrix = Every attack on every target
matrix-caption = What came of each attack
legend = What the words mean
legend-failed = the attacker did not get what he wanted
legend-succeeded = he got it: right for the careless login, never for Cloakroom
legend-window-example = 1.0 s
legend-window = he got it for so long, and no longer than was declared
legend-none = there is nothing of the kind to try; why stands with the attack
legend-left-out = not tried, for want of something; it counts neither way
legend-wrong = it must not be so

attack = attack
target-careless = careless
target-cloakroom = Cloakroom

outcome-succeeded = succeeded
outcome-failed = failed
outcome-window = { $seconds } s
outcome-none = –
outcome-left-out = left out

attacker-has = The attacker has
attacker-does = What he does
attacker-gains = What he is after
source = Described in
not-tried = Not tried: { $why }.

family-theft = Copied credentials, and how one comes by them
family-cross-site = Other sites in the victim's browser
family-cookies = Cookies that somebody else has set
family-tokens = Forged and misused tokens
family-guessing = Guessing
family-pressure = Pressure
