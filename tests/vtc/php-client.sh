# contrib/php/larder.php: what it tags and purges, what it says when that fails, and that it never
# takes longer than it may.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl php-cli php-cgi
. case

token=0123456789abcdef
site admin="token = \"$token\";" routes='{ path = "/**"; ttl = "5m"; }'

# client CODE: what it prints, or the exception that it ends with and the time it took, in $said.
client() {
    cat > "$DIR/client.php" << END
<?php
require '$SRC/contrib/php/larder.php';
\$larder = new Larder('${address:-$url/.larder/purge}', '$token', 1.5);
\$began = microtime(true);
try {
    $1
} catch (LarderException \$e) {
    echo \$e->getCode(), ' ', \$e->getMessage();
}
if (microtime(true) - \$began > 4) {
    echo ' TOO LATE';
}
END
    said=$(php -d display_errors=stderr -d error_reporting=-1 "$DIR/client.php") || fail "$said"
}
says() {
    case $said in
    *"$1"*) ;;
    *) fail "'$said' does not have '$1'" ;;
    esac
}
fill() {
    get "$1"
    await is_hit "$1"
}
from() {
    get "$2"
    is "$2: X-Cache" "$(field X-Cache)" "$1"
}

# By tag.
one='/one?h=Surrogate-Key:product-7%20offers'
two='/two?h=Surrogate-Key:product-8'
fill "$one"
fill "$two"
client "echo json_encode(\$larder->purgeTags(['product-7', 'nobodys']));"
says '"purged":{"tags":2}'
says '"outcome":"done"'
from MISS "$one"
from HIT "$two"

# By URL: of the client's own host, and named.
fill /a
fill /b
client "echo json_encode(\$larder->purgeUrls(['/a', '$url/b']));"
says '"purged":{"urls":2}'
from MISS /a
from MISS /b
from HIT "$two"

# More than one order takes, soft, and any order at all.
client "echo json_encode(\$larder->purgeTags(array_merge(range(1, 10001), ['product-8'])));"
says '"purged":{"tags":2}'
from MISS "$two"
await is_hit "$two"
client "echo json_encode(\$larder->purge(['url' => '/a', 'soft' => true]));"
says '"soft":true'
client "echo json_encode(\$larder->purgeAll());"
says '"all":true'
from MISS "$two"
client "echo json_encode(\$larder->purgeTags([]));"
says '"ok":true'

# What Larder refuses, in its words.
client "\$larder->purgeUrls(['/a', 'offers']);"
says '400 '
says 'urls[1]: found "offers"'
client "(new Larder('$url/.larder/purge', 'not the token at all'))->purgeAll();"
says '401 '
client "(new Larder('$url/.larder/purge', \"two\\r\\nlines of a token\"))->purgeAll();"
says '0 '
says 'control characters'
client "\$larder->purgeTags([\"\\xff\"]);"
says 'no UTF-8'
address=$url/page client "\$larder->purgeAll();"
says "not an answer of Larder's"
address=ftp://x client "\$larder->purgeAll();"
says 'expected http://HOST/PATH'

# Nobody there; somebody who says nothing.
address=http://127.0.0.1:$PORT6/.larder/purge client "\$larder->purgeAll();"
says '0 '
says refused
pool signal STOP
client "\$larder->purgeAll();"
pool signal CONT
says 'no answer within 1.5 s'
case $said in
*'TOO LATE'*) fail "$said" ;;
esac

# The tags of a page, added up; what cannot be sent is not sent.
tagged() {
    echo "<?php require '$SRC/contrib/php/larder.php'; $1" > "$DIR/tagged.php"
    said=$("$(php-program cgi)" -n "$DIR/tagged.php" | tr -d '\r')
}
tagged "Larder::tag('a', '7'); Larder::tag('b', 'a');"
says 'Surrogate-Key: a 7 b'
for wrong in 'two words' '' "$(printf 'a\nb')" "$(printf '%0129d' 0)"; do
    tagged "try { Larder::tag('$wrong'); } catch (LarderException \$e) { echo 'refused'; }"
    says refused
done
tagged "try { Larder::tag(...array_map('strval', range(1, 65))); } catch (LarderException \$e) { echo 'refused'; }"
says refused
