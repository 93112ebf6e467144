// Keeps two apps that scripts/with-apps has started: says where they are, and ends with what it reads from.

if (process.argv[2] === 'hold') {
  const { URL_A, URL_B, PID_A, PID_B, ENV_FILE } = process.env;
  console.log(JSON.stringify({ URL_A, URL_B, PID_A, PID_B, ENV_FILE }));
  process.stdin.on('end', () => process.exit(0)).resume();
}
