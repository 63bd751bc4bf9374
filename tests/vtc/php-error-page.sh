# What the web server shows for an error of its own comes with the URL of what it has refused: neither
# is the stored page shown to who may not see it, nor the error stored in its place.
# needs: apache2 mod_proxy_fcgi spawn-fcgi redis-server redis-cli curl php
. case

mkdir -p "$DIR/htdocs"
echo '<?php echo "for members, ", $_SERVER["REQUEST_URI"];' > "$DIR/htdocs/members.php"
echo '<?php echo "denied, ", $_SERVER["REDIRECT_STATUS"];' > "$DIR/htdocs/denied.php"
cat > "$DIR/front.extra" << 'END'
<Location "/members.php">
    Require expr "%{HTTP:X-Member} == 'yes'"
</Location>
ErrorDocument 403 /denied.php
END
fpm start
redis start
conf url="$(fpm url)" routes='{ path = "/**"; ttl = "1h"; cache = "rfc"; }'
pool start -n 1
front apache-proxy-fcgi-php "$PORT1"

denied() {
    get "/members.php?$1"
    is "$1: status" "$(status)" 403
    is "$1: body" "$(cat "$DIR/body")" 'denied, 403'
}
# Nothing is stored: the error is not.
denied first
denied first
gets '/members.php?first' MISS 'for members, /members.php?first' -H 'X-Member: yes'
# The page is: the error is shown all the same.
redis stored 1
denied first
gets '/members.php?first' HIT 'for members, /members.php?first' -H 'X-Member: yes'
