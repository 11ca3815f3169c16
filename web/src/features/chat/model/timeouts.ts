import { t } from '@/text/t';

/** The timeouts that are one click away. */
export const TIMEOUTS = [
  { seconds: 60, name: t('chat.mod.timeout.minute') },
  { seconds: 600, name: t('chat.mod.timeout.ten') },
  { seconds: 3_600, name: t('chat.mod.timeout.hour') },
  { seconds: 86_400, name: t('chat.mod.timeout.day') },
] as const;
