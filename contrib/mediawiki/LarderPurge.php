<?php
/*
 * Larder for MediaWiki: a page that is edited, moved, deleted, or changed by one of its templates is
 * gone from Larder before whoever did it is answered. For MediaWiki 1.35 or newer; tested with 1.39.
 *
 * MediaWiki's own way ($wgCdnServers) sends PURGE without a token, which Larder refuses, does not look
 * at the answer, and reaches a page by one of its addresses alone. This takes its place. Copy this file
 * and contrib/php/larder.php into extensions/Larder/, and at the end of LocalSettings.php:
 *
 *     $wgUseCdn = true;               // pages may be kept by a cache
 *     $wgCdnMaxAge = 18000;           // for so many seconds; MediaWiki's own default is 5 hours
 *     $wgCdnServers = [];             // nobody is sent a PURGE
 *     $wgLarderUrl = 'http://127.0.0.1/.larder/purge';       // admin.path of larder.conf
 *     $wgLarderToken = '...';                                // admin.token
 *     require_once "$IP/extensions/Larder/LarderPurge.php";
 *
 * The address must be on a host that Larder serves: 127.0.0.1 where Larder is in the default site of
 * port 80, otherwise the wiki's own (https://wiki.example/.larder/purge). In larder.conf
 *
 *     preset = "generic-php";
 *
 * Visitors who are not logged in and have edited nothing have no cookies, and share what MediaWiki says
 * may be shared; whoever has a cookie passes. $wgServer names the host that visitors use, and
 * $wgInternalServer stays unset. With replicas of the database that lag behind, set
 * $wgCdnReboundPurgeDelay to more seconds than they do: a page that was made from an old replica just
 * after a change is purged once more then.
 *
 * The idea: every page that MediaWiki makes is tagged with its title, so a change finds it under each
 * of its addresses and hosts (?title=, ?oldid=, action=history, the titles that redirect to
 * it). What MediaWiki wants purged comes by its own interface for that, EventRelayer, as URLs; those are
 * purged too, for http and https, because not all of them are pages.
 *
 * A purge that fails keeps nothing from being saved. It is in PHP's error log, and is made up for, for the
 * whole wiki, by the next purge, or by the next page that is made, a minute later at the earliest.
 */

use MediaWiki\MediaWikiServices;

if (!defined('MEDIAWIKI')) {
    exit;
}
require_once __DIR__ . '/larder.php';

// Under another name since MediaWiki 1.41.
if (!class_exists('EventRelayer')) {
    class_alias('Wikimedia\\EventRelayer\\EventRelayer', 'EventRelayer');
}

final class LarderPurge extends EventRelayer
{
    const RETRY_S = 60;
    /* More URLs than these are sent as several orders. */
    const URLS_MAX = 1000;

    /* A name that no other wiki has. */
    private static function tag(string $name): string
    {
        return 'mediawiki-' . preg_replace('/[^A-Za-z0-9_.-]/', '-', WikiMap::getCurrentWikiId()) . $name;
    }

    /* That of a page, by the URL that MediaWiki purges it by: its host and scheme do not count. */
    private static function page_tag(string $url): string
    {
        return self::tag('-' . substr(sha1(preg_replace('#^(?:https?:)?//[^/]*#', '', $url)), 0, 20));
    }

    // ---------------------------------------------------------------------------------- tagging

    /* A page is about to go out. What it may be kept for, MediaWiki says. */
    public static function onBeforePageDisplay($out): void
    {
        $tags = array(self::tag(''));
        // The one that was asked for may be a redirect to the one that is shown.
        $asked = Title::newFromText($out->getRequest()->getText('title'));
        foreach (array($out->getTitle(), $asked) as $title) {
            if ($title && $title->canExist()) {
                $tags[] = self::page_tag($title->getInternalURL());
            }
        }
        $out->getRequest()->response()->header('Surrogate-Key: ' . implode(' ', array_unique($tags)));
        self::again();
    }

    // ---------------------------------------------------------------------------------- purging

    /* What MediaWiki wants purged. */
    protected function doNotify($channel, array $events)
    {
        $done = true;
        foreach (array_chunk($events, self::URLS_MAX) as $part) {
            $urls = $tags = array();
            foreach ($part as $event) {
                $url = wfExpandUrl($event['url'], PROTO_INTERNAL);
                if (!is_string($url) || !preg_match('#^https?(://.*)$#D', $url, $found)) {
                    continue;
                }
                // A fragment is nothing that a visitor sends.
                $rest = preg_replace('/#.*/', '', $found[1]);
                array_push($urls, "http$rest", "https$rest");
                $tags[] = self::page_tag("http$rest");
            }
            if ($urls) {
                $done = self::send(array('urls' => array_values(array_unique($urls)),
                    'tags' => array_values(array_unique($tags)))) && $done;
            }
        }
        return $done;
    }

    private static function failed_key(): string
    {
        return MediaWikiServices::getInstance()->getMainObjectStash()->makeKey('larder-purge-failed');
    }

    /* What an earlier purge has not done is not known any more, and so the whole wiki is purged. */
    private static function send(array $order): bool
    {
        $stash = MediaWikiServices::getInstance()->getMainObjectStash();
        $failed = $stash->get(self::failed_key());
        if ($failed) {
            $order['tags'][] = self::tag('');
        }
        try {
            self::client()->purge($order);
        } catch (LarderException $e) {
            error_log('larder: ' . $e->getMessage() .
                '; stale pages of the wiki may be shown until a purge succeeds');
            $stash->set(self::failed_key(), time(), $stash::TTL_MONTH);
            return false;
        }
        if ($failed) {
            $stash->delete(self::failed_key());
        }
        return true;
    }

    private static function client(): Larder
    {
        global $wgLarderUrl, $wgLarderToken, $wgLarderTimeout;
        if (!is_string($wgLarderUrl) || !is_string($wgLarderToken)) {
            throw new LarderException('LocalSettings.php has to set $wgLarderUrl and $wgLarderToken');
        }
        return new Larder($wgLarderUrl, $wgLarderToken, $wgLarderTimeout ?: 5.0);
    }

    /* What has failed, after the page that is being made has gone out. */
    private static function again(): void
    {
        $stash = MediaWikiServices::getInstance()->getMainObjectStash();
        $failed = $stash->get(self::failed_key());
        if ($failed && time() - $failed >= self::RETRY_S) {
            // One request at a time, or all of them would wait while Larder does not answer.
            $stash->set(self::failed_key(), time(), $stash::TTL_MONTH);
            DeferredUpdates::addCallableUpdate(static function () {
                self::send(array('tags' => array()));
            });
        }
    }
}

$wgEventRelayerConfig['cdn-url-purges'] = array('class' => LarderPurge::class);
$wgHooks['BeforePageDisplay'][] = 'LarderPurge::onBeforePageDisplay';
