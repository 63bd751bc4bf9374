<?php
/*
 * Larder for PHP applications, in one file: say which tags a page has, and purge what a change made
 * stale. PHP 7.4 or newer, no extension beyond the standard ones.
 *
 *     require 'larder.php';
 *
 *     // While a page is made, before its first output: what it shows. Larder removes the field before
 *     // visitors see it (cache.response_tags of larder.conf).
 *     Larder::tag('product-7', 'offers');
 *
 *     // When something has been changed, and before whoever changed it is answered: once this has
 *     // returned, nobody gets the old page.
 *     $larder = new Larder('http://127.0.0.1/.larder/purge', $token);
 *     try {
 *         $larder->purgeTags(['product-7', 'offers']);
 *         $larder->purgeUrls(['https://shop.example/offers?page=2']);
 *     } catch (LarderException $e) {
 *         error_log('stale pages may be shown: ' . $e->getMessage());
 *     }
 *
 * The address is admin.path of larder.conf on any host that Larder serves, the token admin.token.
 * What can be purged is in larder.conf(5), Purging over HTTP.
 *
 * It is a client of its own, over a plain socket, because neither ext/curl nor allow_url_fopen is
 * there everywhere and neither bounds a whole exchange. Proxies of the environment are not asked.
 */

/* What went wrong, in Larder's words where it has answered; the code is its status then, 0 otherwise. */
class LarderException extends RuntimeException
{
}

final class Larder
{
    /* Larder does not store a response with more tags, or longer ones. */
    const TAGS_MAX = 64;
    const TAG_MAX = 128;
    /* More than these are sent as several orders. */
    const ITEMS_MAX = 10000;
    /* No answer of Larder's is longer. */
    const ANSWER_MAX = 65536;

    /* Of the response that is being made. */
    private static $tags = array();

    private $url;
    private $token;
    private $timeout;

    /* The timeout, in seconds, is for one whole purge; Larder itself gives Redis two
     * (cache.invalidate_timeout). */
    public function __construct(string $url, string $token, float $timeout = 5.0)
    {
        $this->url = $url;
        $this->token = $token;
        $this->timeout = $timeout;
    }

    /* Adds to the tags of the response. A name that cannot be sent would leave a page that no purge
     * finds, so it is an error, as it is when the response has begun to go out. */
    public static function tag(string ...$names): void
    {
        foreach ($names as $name) {
            if (!preg_match('/^[\x21-\x7e]{1,' . self::TAG_MAX . '}$/D', $name)) {
                throw new LarderException("'$name' is no name of a tag: 1 to " . self::TAG_MAX .
                    ' letters, digits and signs of ASCII, without blanks');
            }
            self::$tags[$name] = true;
        }
        if (count(self::$tags) > self::TAGS_MAX) {
            throw new LarderException('more than ' . self::TAGS_MAX . ' tags');
        }
        if (headers_sent($file, $line)) {
            throw new LarderException("tags come too late: the response went out at $file:$line");
        }
        if (self::$tags) {
            header('Surrogate-Key: ' . implode(' ', array_map('strval', array_keys(self::$tags))));
        }
    }

    /* By tag. Soft: stale from now on, and may still be shown where stale responses may. */
    public function purgeTags(array $tags, bool $soft = false): array
    {
        return $this->purgeList('tags', $tags, $soft);
    }

    /* By URL, as visitors send it; one that begins with / is on the host of this client's address. */
    public function purgeUrls(array $urls, bool $soft = false): array
    {
        return $this->purgeList('urls', $urls, $soft);
    }

    /* Every response in Larder's namespace, of whatever site. */
    public function purgeAll(bool $soft = false): array
    {
        return $this->purge(array('all' => true, 'soft' => $soft));
    }

    /*
     * Any order, as larder.conf(5) has it: array('prefixes' => array('/blog/'), 'soft' => true).
     *
     * What Larder answered: 'outcome' is "done", or "journal" where Redis is out of reach and only
     * this machine obeys for now. Throws when it has not been carried out.
     */
    public function purge(array $order): array
    {
        $body = json_encode($order, JSON_UNESCAPED_SLASHES);
        if ($body === false) {
            throw new LarderException('what is to be purged is no UTF-8: ' . json_last_error_msg());
        }
        list($status, $answer) = $this->post($body);
        $said = json_decode($answer, true);
        if ($status !== 200 || !is_array($said) || empty($said['ok'])) {
            $why = is_array($said) && isset($said['error']) && is_string($said['error'])
                ? $said['error'] : 'not an answer of Larder\'s';
            throw new LarderException("purge at {$this->url}: status $status: $why", $status);
        }
        return $said;
    }

    private function purgeList(string $kind, array $items, bool $soft): array
    {
        $said = array('ok' => true, 'outcome' => 'done');
        foreach (array_chunk(array_map('strval', array_values($items)), self::ITEMS_MAX) as $part) {
            $last = $this->purge(array($kind => $part, 'soft' => $soft));
            // The worse of them is what can be relied on.
            if ($said['outcome'] === 'done') {
                $said = $last;
            }
        }
        return $said;
    }

    private function failed(string $why): LarderException
    {
        return new LarderException("purge at {$this->url}: $why");
    }

    /* Status and body. HTTP/1.0, because its answers end with the connection and are never chunked. */
    private function post(string $body): array
    {
        $parts = parse_url($this->url);
        $scheme = isset($parts['scheme']) ? strtolower($parts['scheme']) : '';
        if (empty($parts['host']) || ($scheme !== 'http' && $scheme !== 'https')) {
            throw $this->failed('expected http://HOST/PATH or https://HOST/PATH');
        }
        if (preg_match('/[^\x20-\x7e]/', $this->token) || preg_match('/[^\x21-\x7e]/', $this->url)) {
            throw $this->failed('control characters in the address or the token');
        }
        $tls = $scheme === 'https';
        $port = isset($parts['port']) ? $parts['port'] : ($tls ? 443 : 80);
        $host = $parts['host'] . (isset($parts['port']) ? ":$port" : '');
        $target = (isset($parts['path']) ? $parts['path'] : '/') .
            (isset($parts['query']) ? "?{$parts['query']}" : '');

        $deadline = microtime(true) + $this->timeout;
        $context = stream_context_create(array('ssl' => array('peer_name' => $parts['host'])));
        // What is wrong with a certificate PHP says in the first of several warnings, and nowhere else.
        $warning = '';
        set_error_handler(function ($level, $text) use (&$warning) {
            $warning = $warning !== '' ? $warning : preg_replace('/\s+/', ' ', $text);
            return true;
        });
        $stream = stream_socket_client(($tls ? 'tls' : 'tcp') . "://{$parts['host']}:$port", $number,
            $error, $this->timeout, STREAM_CLIENT_CONNECT, $context);
        restore_error_handler();
        if (!$stream) {
            throw $this->failed($error !== '' ? $error : $warning);
        }
        stream_set_blocking($stream, false);
        $out = "POST $target HTTP/1.0\r\nHost: $host\r\nX-Larder-Token: {$this->token}\r\n" .
            "Content-Type: application/json\r\nContent-Length: " . strlen($body) .
            "\r\nConnection: close\r\n\r\n$body";
        try {
            $in = $this->exchange($stream, $out, $deadline);
        } finally {
            fclose($stream);
        }
        $end = strpos($in, "\r\n\r\n");
        if ($end === false || !preg_match('#^HTTP/1\.[01] (\d{3})\b#', $in, $found)) {
            throw $this->failed('the connection was closed without an answer');
        }
        return array((int)$found[1], substr($in, $end + 4));
    }

    private function exchange($stream, string $out, float $deadline): string
    {
        $in = '';
        while (!feof($stream)) {
            $left = $deadline - microtime(true);
            $read = array($stream);
            $write = $out === '' ? array() : array($stream);
            $none = array();
            if ($left <= 0 || !stream_select($read, $write, $none, (int)$left,
                (int)(fmod($left, 1.0) * 1e6))) {
                throw $this->failed("no answer within {$this->timeout} s");
            }
            if ($write) {
                $sent = @fwrite($stream, $out);
                if ($sent === false) {
                    throw $this->failed('the connection broke off');
                }
                $out = (string)substr($out, $sent);
            }
            // To the end of what is there: what TLS has decrypted already, select does not see.
            while (($some = @fread($stream, 8192)) !== false && $some !== '') {
                $in .= $some;
                if (strlen($in) > self::ANSWER_MAX) {
                    throw $this->failed('more of an answer than Larder gives');
                }
            }
        }
        return $in;
    }
}
