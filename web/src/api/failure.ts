import { t } from '$/strings';

interface Problem {
  code?: unknown;
  detail?: unknown;
  request_id?: unknown;
  errors?: unknown;
}

/** Why a request has not done what it was for. */
export class Failure extends Error {
  constructor(
    /** Stable and for programs, as the API has it; `offline` where there was no answer at all. */
    readonly code: string,
    /** The HTTP status, 0 without an answer. */
    readonly status: number,
    /** What happened, for people. */
    detail: string,
    /** What finds the request in the app's log. */
    readonly requestId: string | null = null,
    /** What is wrong, by field. */
    readonly fields: Readonly<Record<string, string>> = {},
    /** Seconds to wait before the next try, if the app has said so. */
    readonly retryAfter: number | null = null,
  ) {
    super(detail);
  }

  /** Whether the same request may succeed later. */
  get isTransient(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500 || this.code === 'in_progress';
  }

  /** For a request without an answer. */
  static offline(): Failure {
    return new Failure('offline', 0, t.errors.offline);
  }

  /** Whatever was thrown, as a failure. */
  static of(cause: unknown): Failure {
    if (cause instanceof Failure) return cause;
    // That is what fetch throws when it has no answer.
    if (cause instanceof TypeError || cause instanceof DOMException) return Failure.offline();
    console.error(cause);
    return new Failure('unexpected', 0, t.errors.unexpected);
  }

  /** For an answer that is an error; what is not a problem document is called by its status. */
  static answered(response: Response, body: unknown): Failure {
    const problem: Problem = typeof body === 'object' && body !== null ? body : {};
    const text = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);
    const seconds = Number.parseInt(response.headers.get('Retry-After') ?? '', 10);
    return new Failure(
      text(problem.code) ?? `http_${response.status}`,
      response.status,
      text(problem.detail) ?? t.errors.status(response.status),
      text(problem.request_id) ?? response.headers.get('X-Request-Id'),
      fieldErrors(problem.errors),
      Number.isNaN(seconds) ? null : seconds,
    );
  }
}

function fieldErrors(errors: unknown): Record<string, string> {
  if (typeof errors !== 'object' || errors === null) return {};
  const first = (messages: unknown): string => (Array.isArray(messages) ? messages.join(' ') : String(messages));
  return Object.fromEntries(Object.entries(errors).map(([field, messages]) => [field, first(messages)]));
}
