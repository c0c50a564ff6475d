<?php
// Talks to the bot on the terminal, and runs its actions here, in PHP (8 or newer), without packages.
//
//     rasa-core serve .
//     php client.php [address of the server]
//
// If the server has a token, set it for the client too, in the environment variable RASA_CORE_TOKEN.

declare(strict_types=1);

$server = $argv[1] ?? 'http://localhost:5005';
$conversation = $server . '/conversations/' . bin2hex(random_bytes(8));

const FULL = ['Monday']; // The calendar that this bot knows; put your own in its place.

$actions = [
    // Books a repair, and tells what has become of it; a Sunday stands for a calendar that cannot be reached.
    'book_repair' => function (array $slots): array {
        if ($slots['day'] === 'Sunday') {
            throw new RuntimeException('the calendar does not answer');
        }
        $outcome = in_array($slots['day'], FULL, true) ? 'full' : 'booked';
        return [['event' => 'slot', 'name' => 'outcome', 'value' => $outcome]];
    },
];

// Runs an action: what it changes, and the error if it fails. The stories tell what the bot does then.
function run(string $action, array $slots): array
{
    global $actions;
    try {
        return ['events' => isset($actions[$action]) ? $actions[$action]($slots) : []];
    } catch (Throwable $error) {
        fwrite(STDERR, "     ($action: {$error->getMessage()})\n");
        return ['events' => [], 'error' => $error->getMessage()];
    }
}

// A request that gets no answer is sent again with its key: the server carries it out once.
function call(string $endpoint, array $content): array
{
    global $conversation;
    $token = getenv('RASA_CORE_TOKEN');
    $options = ['http' => [
        'method' => 'POST',
        'header' => "Content-Type: application/json\r\nIdempotency-Key: " . bin2hex(random_bytes(16)) . "\r\n"
            . ($token ? "Authorization: Bearer $token\r\n" : ''),
        'content' => json_encode($content, JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR),
        'ignore_errors' => true,
        'timeout' => 30,
    ]];
    for ($tries = 1; $tries <= 5; $tries++) {
        $http_response_header = [];
        $body = @file_get_contents("$conversation/$endpoint", false, stream_context_create($options));
        $status = (int) (explode(' ', $http_response_header[0] ?? '')[1] ?? 0);
        if ($body !== false && $status > 0 && $status < 300) {
            return json_decode($body, true, 512, JSON_THROW_ON_ERROR);
        }
        if ($status >= 400 && $status < 500) {
            fwrite(STDERR, "$status: $body\n");
            exit(1);
        }
        usleep(random_int(100_000, 200_000 * 2 ** $tries));
    }
    fwrite(STDERR, "No answer from $conversation: is the server running? rasa-core serve .\n");
    exit(1);
}

while (true) {
    echo 'you: ';
    $line = fgets(STDIN);
    if ($line === false || trim($line) === '') {
        break;
    }
    $answer = call('parse', ['query' => rtrim($line, "\r\n")]);
    while (!in_array($answer['next_action'], [null, 'action_listen'], true)) {
        foreach ($answer['messages'] ?? [] as $message) {
            echo "bot: {$message['text']}\n";
        }
        $action = $answer['next_action'];
        $answer = call('continue', ['executed_action' => $action] + run($action, $answer['tracker']['slots']));
    }
}
echo "\n";
